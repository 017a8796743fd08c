export const makeNfsScraper = (): never => {
  throw new Error('x');
};
