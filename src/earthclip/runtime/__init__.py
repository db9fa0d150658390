"""From a picture's file to an embedding: decoding, the one preprocessing, encoders on ONNX Runtime."""
