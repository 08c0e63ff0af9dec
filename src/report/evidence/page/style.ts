import { Markup } from '../markup.ts';

/** Colours and spaces of the page. Each colour has 4.5:1 or more on its ground, in light and in dark. */
export const STYLE = new Markup(`
:root { color-scheme: light dark; --ground: #f6f7f8; --card: #fff; --ink: #1b1f24; --soft: #59626e; --line: #d5dae0; --plot: #2a62ad;
  --passed: #0b6b3c; --failed: #b3202c; --unproven: #865400; --note: #3c5470; --fetch: #5b8bc9; --restore: #1f4f94; --start: #c2741b; --prove: #a9b1bb; }
@media (prefers-color-scheme: dark) { :root { --ground: #14171b; --card: #1c2026; --ink: #e7eaee; --soft: #a3adb9; --line: #39414b; --plot: #82b4f2;
  --passed: #58cf8d; --failed: #ff8a8a; --unproven: #f0b550; --note: #a5bddb; --fetch: #8fb8ec; --restore: #4a86d6; --start: #eb9d4a; --prove: #5e6874; } }
@media print { :root { --ground: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; --plot: #2a62ad; --passed: #0b6b3c; --failed: #b3202c;
  --unproven: #865400; --note: #3c5470; --fetch: #5b8bc9; --restore: #1f4f94; --start: #c2741b; --prove: #a9b1bb; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 82rem; padding: 1rem clamp(.75rem, 3vw, 2rem) 2rem; background: var(--ground); color: var(--ink);
  font: 15px/1.45 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: .2rem 1rem; align-items: baseline; justify-content: space-between; }
h1 { font-size: 1.35rem; margin: .3rem 0; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem clamp(.75rem, 2vw, 1.25rem); margin: 1rem 0; }
code, pre { font: .86em/1.4 ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.small, .says { font-size: .86rem; color: var(--soft); }
.says { margin: -.3rem 0 .8rem; }
.hero { border-left: 8px solid var(--soft); }
.hero.passed { border-left-color: var(--passed); } .hero.failed { border-left-color: var(--failed); } .hero.unproven { border-left-color: var(--unproven); }
.verdict { font-size: clamp(2rem, 6vw, 3.1rem); font-weight: 700; line-height: 1.1; margin: 0 0 .3rem; }
.hero.passed .verdict, .badge.passed { color: var(--passed); }
.hero.failed .verdict, .badge.failed, .over { color: var(--failed); }
.hero.unproven .verdict, .badge.unproven { color: var(--unproven); }
.badge.note { color: var(--note); }
.what { margin: .3rem 0 1rem; }
.what strong { font-size: 1.1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9.5rem), 1fr)); gap: .8rem; margin: 0 0 .8rem; }
.tile { border-top: 1px solid var(--line); padding-top: .4rem; }
.tile dt { font-size: .86rem; color: var(--soft); }
.tile dd { margin: 0; font-size: 1.45rem; font-weight: 650; font-variant-numeric: tabular-nums; line-height: 1.25; }
.tile small { display: block; font-size: .86rem; font-weight: 400; color: var(--soft); }
.whole { white-space: nowrap; }
.badge { display: inline-block; font-weight: 650; white-space: nowrap; }
.badge span { display: inline-block; min-width: 1.1em; text-align: center; border: 1.5px solid currentColor; border-radius: 4px; line-height: 1.15; }
.left { border-left: 8px solid var(--unproven); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
caption { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
th, td { text-align: left; vertical-align: top; padding: .45rem .7rem .45rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; font-size: .82rem; font-weight: 600; color: var(--soft); vertical-align: bottom; }
.targets, .checks, .drills { table-layout: fixed; } tr > :last-child { padding-right: 0; }
.targets th:nth-child(1) { width: 4.5%; } .targets th:nth-child(2) { width: 14.5%; } .targets th:nth-child(3) { width: 12%; } .targets th:nth-child(4) { width: 18.5%; }
.targets th:nth-child(5) { width: 14.5%; } .targets th:nth-child(6) { width: 8.5%; } .targets th:nth-child(7) { width: 9%; }
.checks th:nth-child(1) { width: 9.5%; } .checks th:nth-child(2) { width: 18%; } .checks th:nth-child(4) { width: 10%; }
.drills th:nth-child(1) { width: 15.5%; } .drills th:nth-child(2) { width: 10%; } .drills th:nth-child(3) { width: 23%; } .drills th:nth-child(5), .drills th:nth-child(6) { width: 10.5%; }
.mend { margin: .35rem 0 0; padding: .45rem .6rem; border: 1px solid var(--line); border-radius: 6px; background: var(--ground); white-space: pre-wrap; }
.phases { display: block; width: 100%; height: 12px; margin: .25rem 0; background: var(--ground); }
.fetch { fill: var(--fetch); } .restore { fill: var(--restore); } .start { fill: var(--start); } .prove { fill: var(--prove); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .6rem 0 0; align-items: center; }
.key { width: .85em; height: .85em; overflow: visible; vertical-align: -.05em; }
details.checked { border-top: 1px solid var(--line); padding: .5rem 0; }
summary { cursor: pointer; }
summary:focus-visible, .scroll:focus-visible { outline: 2px solid var(--plot); outline-offset: 2px; }
details.figures { margin-top: .8rem; } details.figures summary { color: var(--soft); font-size: .86rem; }
.scroll { overflow-x: auto; font-size: .86rem; } .scroll th, .scroll td { white-space: nowrap; overflow-wrap: normal; padding-right: 1.2rem; } .scroll tbody th { font-weight: 400; }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); gap: 1.1rem 1.6rem; }
.panel { margin: 0; min-width: 0; } .panel svg { display: block; width: 100%; height: auto; overflow: visible; }
.panel figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 1rem; } .panel figcaption span { font-variant-numeric: tabular-nums; color: var(--soft); }
svg text { font: 11px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--soft); font-variant-numeric: tabular-nums; }
.axis path { stroke: var(--line); fill: none; }
.line { fill: none; stroke: var(--plot); stroke-width: 1.6; stroke-linejoin: round; }
.promised path { fill: none; stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 5 4; } .promised text { fill: var(--ink); }
.mark .reach { fill: transparent; stroke: none; }
.mark.passed circle:not(.reach) { fill: var(--plot); stroke: var(--card); stroke-width: 1; }
.mark.failed path { stroke: var(--failed); stroke-width: 2.6; fill: none; stroke-linecap: round; }
.mark.unproven circle:not(.reach) { fill: var(--card); stroke: var(--unproven); stroke-width: 2; }
.calendar { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr)); gap: 1rem 1.2rem; margin-top: .8rem; }
.month { width: 100%; max-width: 10.5rem; height: auto; display: block; }
.month .name { fill: var(--ink); font-weight: 600; } .month .weekday { font-size: 8.5px; }
.day.none rect { fill: var(--ground); } .day.none text { font-size: 8.5px; }
.day text { font-size: 11px; } .day:not(.none) text { fill: var(--card); font-weight: 700; }
.day.passed rect { fill: var(--passed); } .day.failed rect { fill: var(--failed); } .day.unproven rect { fill: var(--unproven); }
@media screen and (max-width: 64rem) { .cards, .cards tbody, .cards tr, .cards td { display: block; width: auto; } .cards thead { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); }
  .cards tr { border-top: 1px solid var(--line); padding: .5rem 0; } .cards td { display: grid; grid-template-columns: 6.5rem minmax(0, 1fr); gap: 0 .8rem; border: 0; padding: .15rem 0; }
  .cards td::before { content: attr(data-label); color: var(--soft); font-size: .86rem; }  }
@media print { :root { font-size: 10px; } body { max-width: none; padding: 0; font-size: 10px; } section { border-color: #bbb; padding: .6rem .8rem; margin: .6rem 0; } .panel, .month, tr, .tile { break-inside: avoid; } h2 { break-after: avoid; }
  details::details-content { content-visibility: visible; display: block; } details.figures { display: none; } * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
`);
