// CSV whose cells keep the text that they stood in the file as, so that what nobody edits is saved byte for byte.

export interface Cell {
  value: string;
  /** The cell as it stands in the file, with its quotes. */
  raw: string;
}

export interface Line {
  cells: Cell[];
  /** The line break after it; nothing at the end of a file without one. */
  end: string;
  /** Where it begins in the file, counted from 1. */
  number: number;
}

/** Text that is not CSV; the message says where. */
export class NotCSV extends Error {}

/** Lines of text between `delimiter`, as Python's csv module reads them. Throws NotCSV. */
export function parse(text: string, delimiter: string): Line[] {
  const lines: Line[] = [];
  let [at, number] = [0, 1];
  while (at < text.length) {
    const line: Line = { cells: [], end: "", number };
    for (;;) {
      const cell = cellAt(text, at, delimiter, number);
      line.cells.push(cell);
      at += cell.raw.length;
      number += breaks(cell.raw);
      if (text[at] !== delimiter) break;
      at++;
    }
    line.end = text.startsWith("\r\n", at) ? "\r\n" : (text[at] ?? "");
    at += line.end.length;
    number++;
    lines.push(line);
  }
  return lines;
}

/** The text that `parse` was given, but for the cells whose `raw` is another by now. */
export function serialise(lines: Line[], delimiter: string): string {
  return lines.map(({ cells, end }) => cells.map(({ raw }) => raw).join(delimiter) + end).join("");
}

/** A cell as Python's csv module writes it: in quotes only where it has to be. */
export function quoted(value: string, delimiter: string): string {
  const needed = /["\r\n]/.test(value) || value.includes(delimiter);
  return needed ? `"${value.replaceAll('"', '""')}"` : value;
}

function cellAt(text: string, start: number, delimiter: string, number: number): Cell {
  if (text[start] !== '"') {
    let end = start;
    while (end < text.length && text[end] !== delimiter && text[end] !== "\n" && text[end] !== "\r") end++;
    const raw = text.slice(start, end);
    return { value: raw, raw };
  }
  let end = start;
  do {
    end = text.indexOf('"', end + 1);
    if (end < 0) throw new NotCSV(`line ${number}: a quote is opened and never closed; correct the row`);
  } while (text[end + 1] === '"' && ++end);
  const after = text[end + 1];
  if (after !== undefined && after !== delimiter && after !== "\n" && after !== "\r")
    throw new NotCSV(`line ${number}: text after a closing quote; correct the row`);
  return { value: text.slice(start + 1, end).replaceAll('""', '"'), raw: text.slice(start, end + 1) };
}

function breaks(text: string): number {
  return text.match(/\r\n|\r|\n/g)?.length ?? 0;
}
