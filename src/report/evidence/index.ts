import type { Rendered, ReportMaterial } from '../../core/reportMaterial.ts';
import { junit } from './junit.ts';
import { markdown } from './markdown.ts';
import { page } from './page/index.ts';

/** A report of drills in each of its forms. Pure: the same material gives the same bytes. */
export const renderReport = (material: ReportMaterial): Rendered => ({
  html: page(material),
  markdown: markdown(material),
  junit: junit(material),
  json: `${JSON.stringify({ env: material.env, at: material.at, tool: material.tool, leftOut: material.leftOut, drills: material.drills }, null, 2)}\n`,
});
