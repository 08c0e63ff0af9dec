/** A row of docs/CASES.md. */
export interface Row {
  id: string;
  tried: string;
}

/** The rows of the page, in its order. @throws when an id stands there twice */
export function rowsOf(page: string): Row[] {
  const rows = [...page.matchAll(/^\| ([A-Z]{1,2}\d{2})(?: ★)? *\| (.+?) +\| .+ \|$/gm)].map(([, id, tried]) => ({
    id: id!,
    tried: tried!,
  }));
  const twice = rows.find(({ id }, n) => rows.findIndex(row => row.id === id) !== n);
  if (twice) throw new Error(`${twice.id} stands twice in docs/CASES.md`);
  return rows;
}
