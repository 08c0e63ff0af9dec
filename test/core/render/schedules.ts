import fc from 'fast-check';

const part = (low: number, high: number) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant('*') },
    fc.integer({ min: 2, max: Math.min(12, high - 1) }).map(step => `*/${step}`),
    fc.integer({ min: low, max: high }).map(String),
    fc.tuple(fc.integer({ min: low, max: high }), fc.integer({ min: low, max: high })).map(ends => {
      const [from, to] = ends.sort((a, b) => a - b);
      return `${from}-${to}`;
    }),
    fc.array(fc.integer({ min: low, max: high }), { minLength: 2, maxLength: 4 }).map(all => all.join(',')),
  );

/** Days up to 28 come in every month, so that every schedule comes. */
export const schedules = fc.tuple(part(0, 59), part(0, 23), part(1, 28), part(1, 12), part(0, 7)).map(parts => parts.join(' '));
