// The input of one demo connection: lines and blocks taken from what has arrived. For trying out
// only: strings (one character per byte) where the proxy works on bytes. Knows no protocol.

export class LineReader {
  private text: string;
  private pos: number;

  constructor() {
    this.text = "";
    this.pos = 0;
  }

  add(chunk: string): void {
    this.text = this.text.slice(this.pos) + chunk;
    this.pos = 0;
  }

  /** The next line without its end; null if it is not all there. */
  line(): string | null {
    const end = this.text.indexOf("\n", this.pos);
    if (end < 0) return null;
    const line = this.text.slice(
      this.pos,
      end > this.pos && this.text[end - 1] === "\r" ? end - 1 : end,
    );
    this.pos = end + 1;
    return line;
  }

  /** `n` characters and the line end behind them; null if they are not all there. */
  block(n: number): string | null {
    if (this.text.length < this.pos + n + 2) return null;
    const block = this.text.slice(this.pos, this.pos + n);
    this.pos += n + 2;
    return block;
  }

  mark(): number {
    return this.pos;
  }

  /** Goes back to a mark, to read again when more has arrived. */
  back(mark: number): void {
    this.pos = mark;
  }
}
