// How much of something that is bounded each user has, so that one cannot have all of it: a server's
// pinned links. Asked when a link is pinned, never for a plain request.

export class Shares {
  /** By name of the user; nobody stands with 0. */
  private readonly taken: Map<string, number>;

  constructor() {
    this.taken = new Map();
  }

  /** One more for `user`; false if he has `most` already. */
  take(user: string, most: number): boolean {
    const has = this.taken.get(user) ?? 0;
    if (has >= most) return false;
    this.taken.set(user, has + 1);
    return true;
  }

  give(user: string): void {
    const has = this.taken.get(user) ?? 0;
    if (has > 1) this.taken.set(user, has - 1);
    else this.taken.delete(user);
  }
}

/** What `percent` of `all` allows: 1 at least. */
export function shareOf(all: number, percent: number): number {
  return Math.max(1, Math.floor(all * percent / 100));
}
