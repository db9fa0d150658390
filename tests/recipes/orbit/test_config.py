"""What a configuration on views may say; wrong ones are one line."""

from __future__ import annotations

import pytest

from earthclip.errors import ConfigError
from recipes.orbit.config import read_orbit_config
from tests.recipes.orbit.tiny_views import write_config


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("texture_width = 360", "imagery = {natural-earth = 1.0}", "training imagery only"),
        ("texture_width = 360", "distribution = {min_land = 2.0}", "min_land must be 0 to 1"),
        ('imagery = ["etopo1"]', 'imagery = ["stellarium"]', "training or validation imagery only"),
        ("cells = 2", "cells = 17", "0 to 4, the cells of the grid"),
        ("steps = 6", "epochs = 3.0", "epochs are for"),
        ("steps = 6", 'steps = 6\nbackbone = "clip"', "backbone is for"),
        ("warmup_steps = 2", "step_every = 0", "step_every must be at least 1"),
        ("spacing_km = 1000.0", "spacing_km = 1.0", "validation.spacing_km must be 5 to 2000"),
        ("[views]", "[photos]\nsource = 'x'\n[views]", r"\[views\] and \[photos\] both say what to train on; keep one"),
        ("[views]\ntexture_width = 360", "[photos]\nsource = 'x'", "are trained on by earthclip train"),
        ("cells = 2", "cells = 0\n[features]\nfoldr = 'x'", r"\[views\] and \[features\] both"),
        ("learning_rate", "lerning_rate", "optimizer: unknown key 'lerning_rate', did you mean 'learning_rate'"),
        ("image_size = 16", "image_size = 18", "multiple of the reduction"),
    ],
)
def test_a_wrong_configuration_is_one_line(tmp_path, old, new, message):
    path = write_config(tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        read_orbit_config(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
