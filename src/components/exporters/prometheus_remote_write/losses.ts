/** Which data points of a batch are not sent, and why: runs of their positions in the batch. */

export interface LossRun {
  readonly from: number;
  count: number;
  readonly reason: string;
}

export class Losses {
  readonly runs: LossRun[] = [];
  count = 0;

  add(from: number, count: number, reason: string): void {
    this.count += count;
    const last = this.runs.at(-1);
    if (last && last.reason === reason && last.from + last.count === from) last.count += count;
    else this.runs.push({ from, count, reason });
  }

  byReason(): Map<string, number> {
    const all = new Map<string, number>();
    for (const r of this.runs) all.set(r.reason, (all.get(r.reason) ?? 0) + r.count);
    return all;
  }

  /** Points outside these runs are taken in, those within stay what they are. */
  addPoints(points: Iterable<number>, reason: string): number {
    const known = new Set<number>();
    for (const r of this.runs) for (let i = 0; i < r.count; i++) known.add(r.from + i);
    let added = 0;
    for (const p of [...points].sort((a, b) => a - b)) {
      if (known.has(p)) continue;
      known.add(p);
      this.add(p, 1, reason);
      added++;
    }
    return added;
  }

  /** In the order of positions. */
  sorted(): readonly LossRun[] {
    return [...this.runs].sort((a, b) => a.from - b.from);
  }
}
