const DAY = 86_400_000;

/** The environment in which bkp believes that it is so many days later, or earlier. */
export const later = (days: number): Record<string, string> => {
  const code = `const Real = Date; globalThis.Date = class extends Real {
    constructor(...args) { if (args.length > 0) super(...args); else super(Real.now() + ${days * DAY}); }
    static now() { return Real.now() + ${days * DAY}; }
  };`;
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` };
};
