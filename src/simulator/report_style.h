// The report's style and its few lines of script, inline in the page.
#pragma once

#include <string_view>

namespace pixelfleet::simulator {

inline constexpr std::string_view kReportStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #fbfaf8; --card: #ffffff; --ink: #1b1f27; --soft: #5c6472; --faint: #8b93a1; --rule: #e4e2dd;
  --accent: #2f5bea; --good: #137a4b; --bad: #b3261e; --tint: #eef2ff; --lane: #f1efea;
  --c0: #2f5bea; --c1: #8b93a1; --c2: #b4690e; --c3: #8a4fd3; --c4: #0f8f82; --c5: #d63a3a;
  --c6: #a3928a; --c7: #5f8f1f; --c8: #c43a8e; --c9: #1593b8; --c10: #b59410; --c11: #56616f;
  --bar-s: 54%; --bar-l: 58%;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12151b; --card: #191d25; --ink: #e8eaef; --soft: #a6aebb; --faint: #7b8492; --rule: #2a303b;
    --accent: #7c9dff; --good: #5fd39a; --bad: #ff8a80; --tint: #1c2540; --lane: #20252f;
    --c0: #7c9dff; --c1: #929bab; --c2: #e8a24a; --c3: #b894f0; --c4: #45c4b5; --c5: #ff7b72;
    --c6: #b8a79e; --c7: #9cc95a; --c8: #ee82c0; --c9: #5cc3e3; --c10: #dcc04a; --c11: #9aa7b8;
    --bar-s: 46%; --bar-l: 56%;
  }
}
.c0 { --c: var(--c0); } .c1 { --c: var(--c1); } .c2 { --c: var(--c2); } .c3 { --c: var(--c3); }
.c4 { --c: var(--c4); } .c5 { --c: var(--c5); } .c6 { --c: var(--c6); } .c7 { --c: var(--c7); }
.c8 { --c: var(--c8); } .c9 { --c: var(--c9); } .c10 { --c: var(--c10); } .c11 { --c: var(--c11); }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; scroll-padding-top: 5.5rem; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
main, header > div, footer { max-width: 1220px; margin: 0 auto; padding: 0 24px; }
header { padding: 44px 0 8px; }
h1 { font-size: 34px; line-height: 1.15; letter-spacing: -.02em; margin: 0 0 8px; font-weight: 680; }
h2 { font-size: 23px; letter-spacing: -.01em; margin: 56px 0 4px; font-weight: 650; }
h3 { font-size: 18px; margin: 0; font-weight: 650; }
h3 small { font-weight: 400; color: var(--soft); font-size: 15px; margin-left: 8px; }
p { margin: 6px 0 14px; max-width: 84ch; }
.lead, .note, footer { color: var(--soft); }
.note { font-size: 13.5px; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 18px 20px; margin: 14px 0; }
.keys { display: grid; grid-template-columns: repeat(auto-fit, minmax(168px, 1fr)); gap: 12px; margin: 22px 0 6px; }
.keys > div { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 14px 16px; }
.keys b { display: block; font-size: 28px; font-weight: 680; letter-spacing: -.02em; line-height: 1.2; color: var(--accent); font-variant-numeric: tabular-nums; }
.keys span { color: var(--soft); font-size: 13px; display: block; line-height: 1.4; }
.keys em { display: block; font-style: normal; color: var(--faint); font-size: 12px; line-height: 1.4; margin-top: 3px; }
nav { position: sticky; top: 0; z-index: 2; background: color-mix(in srgb, var(--paper) 90%, transparent); backdrop-filter: blur(8px); border-bottom: 1px solid var(--rule); }
nav > div { max-width: 1220px; margin: 0 auto; padding: 8px 24px; display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; }
nav a { color: var(--soft); text-decoration: none; font-size: 13.5px; font-variant-numeric: tabular-nums; }
nav a:hover { color: var(--accent); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 4px; width: 100%; margin-left: -7px; }
.legend button { font: inherit; font-size: 13px; color: var(--ink); background: none; border: 0; border-radius: 6px; padding: 2px 7px; cursor: pointer; display: flex; align-items: center; gap: 6px; }
.legend button::before { content: ""; width: 14px; height: 3px; border-radius: 2px; background: var(--c); }
.legend button:hover { background: var(--tint); }
.legend button.off { color: var(--faint); text-decoration: line-through; }
.legend button.off::before { background: var(--rule); }
.pair { display: grid; gap: 8px 28px; align-items: start; }
.pair { grid-template-columns: minmax(0, 3fr) minmax(0, 1fr); }
@media (max-width: 900px) { .pair { grid-template-columns: minmax(0, 1fr); } }
.scroll { overflow-x: auto; margin: 0 -4px; padding: 0 4px; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; width: 100%; }
th, td { padding: 4px 8px; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule); }
th { color: var(--soft); font-weight: 550; font-size: 12px; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; position: sticky; left: 0; background: var(--card); }
td:first-child::before { content: ""; display: inline-block; width: 9px; height: 9px; border-radius: 3px; background: var(--c); margin-right: 7px; }
tr.subject td { background: var(--tint); font-weight: 600; }
tr.hidden { display: none; }
td.best { color: var(--good); font-weight: 650; }
td.failed { color: var(--bad); }
tr:last-child td { border-bottom: 0; }
.verdict { border-left: 4px solid var(--good); }
.verdict.short { border-left-color: var(--bad); }
.verdict ul { margin: 6px 0 0; padding-left: 20px; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.scroll > svg { min-width: 680px; }
svg text { fill: var(--soft); font-size: 11.5px; font-variant-numeric: tabular-nums; }
svg .end, svg .figure, svg .name { text-anchor: end; }
svg .middle { text-anchor: middle; }
svg .name { fill: var(--ink); font-size: 13px; }
svg .figure { fill: var(--ink); font-size: 13px; }
svg .figure.faint { fill: var(--soft); }
svg .subject .name, svg .subject .figure { font-weight: 650; }
svg .grid { stroke: var(--rule); stroke-width: 1; }
svg .grid.mark { stroke: var(--faint); stroke-dasharray: 2 3; }
svg .limit { stroke: var(--bad); stroke-width: 1.2; stroke-dasharray: 6 4; }
svg .limit-text { fill: var(--bad); }
svg .callout { fill: var(--c); font-size: 13px; font-weight: 650; }
svg .curve { fill: none; stroke: var(--c); stroke-width: 1.6; stroke-linejoin: round; }
svg .hit { fill: none; stroke: transparent; stroke-width: 12; pointer-events: stroke; }
svg .subject .curve { stroke-width: 3.2; }
svg .rowhit { fill: transparent; }
svg .series { transition: opacity .12s; }
svg .series.dim { opacity: .13; }
svg .series.hidden { display: none; }
svg .series:hover .curve { stroke-width: 3.2; }
svg .series:hover .rowhit { fill: var(--tint); }
svg .reach { stroke: var(--c); stroke-width: 1.4; opacity: .4; }
svg .interval { stroke: var(--c); stroke-width: 5; opacity: .45; stroke-linecap: round; }
svg .dot { fill: var(--c); }
svg .ring { fill: var(--card); stroke: var(--c); stroke-width: 1.8; }
svg .lane { fill: var(--lane); }
svg .op rect { fill: hsl(var(--h) var(--bar-s) var(--bar-l)); }
svg .op.load rect:first-of-type { opacity: .38; }
svg .op .hatched { fill: url(#hatch); opacity: 1; }
svg .op:hover rect { filter: brightness(1.15); }
svg #hatch line { stroke: var(--ink); stroke-width: 1.1; opacity: .55; }
.strips { margin-top: 14px; border-top: 1px solid var(--rule); padding-top: 12px; }
.strips h4 { margin: 10px 0 2px; font-size: 13px; font-weight: 600; color: var(--soft); }
.strips h4 i { display: inline-block; width: 9px; height: 9px; border-radius: 3px; background: var(--c); margin-right: 7px; }
details summary { cursor: pointer; color: var(--soft); font-size: 13.5px; }
pre { overflow-x: auto; font-size: 12.5px; line-height: 1.45; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; font-size: 13.5px; color: var(--soft); }
dt { color: var(--ink); font-weight: 550; }
dd { margin: 0; }
footer { font-size: 13px; padding-bottom: 48px; }
@media (max-width: 700px) { nav { position: static; } html { scroll-padding-top: 1rem; } h1 { font-size: 28px; } }
@media print { nav { position: static; } .card { break-inside: avoid; } }
)css";

// The legend: pointing at a name dims the others, a click hides it in every chart and table.
inline constexpr std::string_view kReportScript = R"js(
const marks = (who) => document.querySelectorAll('[data-who]:not(button)' + (who ? `[data-who="${CSS.escape(who)}"]` : ''));
for (const button of document.querySelectorAll('.legend button')) {
  const who = button.dataset.who;
  button.addEventListener('pointerenter', () => {
    for (const mark of marks()) mark.classList.toggle('dim', mark.dataset.who !== who);
  });
  button.addEventListener('pointerleave', () => {
    for (const mark of marks()) mark.classList.remove('dim');
  });
  button.addEventListener('click', () => {
    const off = button.classList.toggle('off');
    button.setAttribute('aria-pressed', String(!off));
    for (const mark of marks(who)) mark.classList.toggle('hidden', off);
  });
}
)js";

}  // namespace pixelfleet::simulator
