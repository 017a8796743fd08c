/** Waiting for the next time that something under way is over, but not for long. */
export class Ends {
  readonly #waiting = new Set<(isOver: boolean) => void>();

  /** False when nothing ended for so long. */
  next(timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isOver: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve(isOver);
      };
      const timer = setTimeout(() => end(false), timeoutMs);
      this.#waiting.add(end);
    });
  }

  tell(): void {
    for (const end of [...this.#waiting]) end(true);
  }
}
