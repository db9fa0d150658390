// The plan of `earthclip locate --format plan`: what each photo's row says, and what somebody makes of it.
import { type Cell, type Line, NotCSV, parse, quoted, serialise } from "./csv";

const HAND = "hand"; // the source of a position that a person has set, as `earthclip apply` knows it
const YES = ["yes", "y", "true", "1", "x"];
const NO = ["no", "n", "false", "0", ""];
const NEEDED = ["path", "latitude", "longitude", "accept"] as const;
const ESTIMATED = ["place", "probability", "radius_km"] as const; // said of the estimate, and of no other position
type Column = (typeof NEEDED)[number] | (typeof ESTIMATED)[number] | "source";

/** A file that is no plan; the message says what is wrong with it, and what to do. */
export class NotAPlan extends Error {}

export class PlanRow {
  private readonly before: string[];

  constructor(
    private readonly line: Line,
    private readonly columns: Map<Column, number>,
    private readonly delimiter: string,
  ) {
    this.before = line.cells.map(({ raw }) => raw);
  }

  /** A cell without outer spaces; nothing where there is no such column. */
  text(column: Column): string {
    return this.cell(column)?.value.trim() ?? "";
  }

  /** The path as it stands in the row. */
  get path(): string {
    return this.cell("path")?.value ?? "";
  }

  /** The line of the file that the row begins in. */
  get number(): number {
    return this.line.number;
  }

  get name(): string {
    return this.text("path").split(/[/\\]/).at(-1) ?? "";
  }

  get accepted(): boolean {
    return YES.includes(this.text("accept").toLowerCase());
  }

  /** Latitude and longitude; undefined for a photo that has none. */
  get position(): [number, number] | undefined {
    const position = ["latitude" as const, "longitude" as const].map((column) => number(this.text(column)));
    return position.every((degrees) => degrees !== undefined) ? (position as [number, number]) : undefined;
  }

  get changed(): boolean {
    return this.line.cells.some(({ raw }, i) => raw !== this.before[i]);
  }

  get byHand(): boolean {
    return this.text("source") === HAND;
  }

  accept(accepted: boolean): void {
    const at = this.columns.get("accept") ?? -1;
    const [cell, before] = [this.line.cells[at], this.before[at]];
    if (!cell || before === undefined) return;
    const raw = YES.includes(unquoted(before).trim().toLowerCase()) === accepted ? before : accepted ? "yes" : "no";
    Object.assign(cell, { raw, value: unquoted(raw) });
  }

  /** Sets a position by hand, which is then to be written, and removes what was said of the estimate. */
  move(latitude: number, longitude: number): void {
    this.set("latitude", degrees(latitude));
    this.set("longitude", degrees(longitude));
    this.set("source", HAND);
    for (const column of ESTIMATED) this.set(column, "");
    this.accept(true);
  }

  undo(): void {
    this.line.cells.forEach((cell, i) => {
      cell.raw = this.before[i] ?? cell.raw;
      cell.value = unquoted(cell.raw);
    });
  }

  /** What is wrong with the row; undefined where nothing is. */
  get fault(): string | undefined {
    const where = `line ${this.line.number}: `;
    const missing = NEEDED.find((column) => !this.cell(column));
    if (missing) return `${where}no ${missing}; correct the row`;
    const word = this.text("accept").toLowerCase();
    if (![...YES, ...NO].includes(word)) return `${where}accept is '${word}'; expected yes or no`;
    if (this.text("path") === "") return `${where}no path; correct or remove the row`;
    if (this.text("latitude") === "" || this.text("longitude") === "")
      return this.accepted ? `${where}accepted without a position; give one, or set accept to no` : undefined;
    for (const column of ["latitude", "longitude"] as const)
      if (!isDegrees(column, number(this.text(column))))
        return `${where}${column} must be a number of degrees, found '${this.text(column)}'; correct the row`;
    for (const column of ["probability", "radius_km"] as const)
      if (this.text(column) !== "" && !((number(this.text(column)) ?? -1) >= 0))
        return `${where}${column} must be a number from 0, found '${this.text(column)}'; correct the row`;
    return undefined;
  }

  private cell(column: Column): Cell | undefined {
    return this.line.cells[this.columns.get(column) ?? -1];
  }

  private set(column: Column, value: string): void {
    const cell = this.cell(column);
    if (cell) Object.assign(cell, { value, raw: quoted(value, this.delimiter) });
  }
}

export class Plan {
  readonly rows: PlanRow[];
  private readonly lines: Line[];
  private readonly delimiter: string;
  private saved = "";

  /** Reads a file; throws NotAPlan. */
  static async open(file: Blob, name: string): Promise<Plan> {
    const bytes = await file.arrayBuffer().catch(() => {
      throw new NotAPlan("cannot be read; check that the file is still there, and choose it again");
    });
    const text = decoded(bytes);
    try {
      return new Plan(name, text);
    } catch (error) {
      if (error instanceof NotCSV) throw new NotAPlan(error.message);
      throw error;
    }
  }

  private constructor(
    readonly name: string,
    text: string,
  ) {
    const delimiter = [",", "\t", ";"].find((sign) => columnsOf(text, sign).size > 0);
    if (!delimiter) throw new NotAPlan(`not a plan; expected a CSV with the columns ${NEEDED.join(", ")}`);
    this.delimiter = delimiter;
    this.lines = parse(text, delimiter);
    const columns = columnsOf(text, delimiter);
    const filled = this.lines.slice(1).filter(({ cells }) => cells.some(({ value }) => value.trim() !== ""));
    this.rows = filled.map((line) => new PlanRow(line, columns, delimiter));
    const fault = this.rows.map((row) => row.fault).find((found) => found !== undefined) ?? this.twice();
    if (fault) throw new NotAPlan(fault);
    this.saved = this.text();
  }

  private twice(): string | undefined {
    const lines = new Map<string, number>();
    for (const { path, number } of this.rows) {
      const before = lines.get(path);
      if (before !== undefined) return `line ${number}: ${path} is also in line ${before}; keep one of them`;
      lines.set(path, number);
    }
    return undefined;
  }

  /** The whole file as it is to be saved. */
  text(): string {
    return serialise(this.lines, this.delimiter);
  }

  /** Whether something is changed that was not saved. */
  get unsaved(): boolean {
    return this.text() !== this.saved;
  }

  /** The file to be saved, after which nothing is unsaved. */
  file(): Blob {
    this.saved = this.text();
    return new Blob([this.saved], { type: "text/csv" });
  }
}

/** Where the plan's columns are in the first line; none where one that is needed is missing. */
function columnsOf(text: string, delimiter: string): Map<Column, number> {
  const first = /^[^\r\n]*/.exec(text)?.[0].replace(/^\ufeff/, "") ?? "";
  let header: Line | undefined;
  try {
    [header] = parse(first, delimiter);
  } catch (error) {
    if (!(error instanceof NotCSV)) throw error;
    return new Map(); // quoted names with another sign between them
  }
  const names = (header?.cells ?? []).map(({ value }, i): [Column, number] => [value.trim() as Column, i]);
  const columns = new Map(names);
  return NEEDED.every((column) => columns.has(column)) ? columns : new Map();
}

/** A file's text with its byte order mark, which is to be saved along. */
function decoded(bytes: ArrayBuffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NotAPlan("not UTF-8 text; save the table as CSV in UTF-8");
  }
}

/** Whether `earthclip apply` takes a number for a latitude or a longitude. */
export function isDegrees(column: "latitude" | "longitude", value: number | undefined): value is number {
  if (value === undefined) return false;
  return column === "latitude" ? Math.abs(value) <= 90 : value >= -180 && value < 360;
}

function unquoted(raw: string): string {
  return raw.startsWith('"') ? raw.slice(1, -1).replaceAll('""', '"') : raw;
}

/** A number with a decimal point or comma, as `earthclip apply` reads it. */
export function number(text: string): number | undefined {
  const plain = text.trim().replace(",", ".");
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(plain) ? Number(plain) : undefined;
}

/** To a millionth of a degree, 0.1 m, as `earthclip locate` writes them. */
function degrees(value: number): string {
  return String(Number(value.toFixed(6)));
}
