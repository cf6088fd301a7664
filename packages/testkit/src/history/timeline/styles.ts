/** The stylesheet of a timeline. A column of the grid is `--step` wide. */
export const styles = `
:root { color-scheme: light dark; --row: 1.9rem; --name: 9rem;
  --paper: #fdfdfc; --ink: #1f2328; --faint: #6e7681; --line: #e3e5e8; --bar: #dbeafe; --edge: #3b82f6;
  --left-out: #f1f2f4; --bad: #fecaca; --bad-edge: #dc2626; --involved: #fde68a; --involved-edge: #d97706;
  --mark: #9333ea; }
@media (prefers-color-scheme: dark) { :root { --paper: #16181c; --ink: #e6e8eb; --faint: #9aa2ad;
  --line: #2c3036; --bar: #1e3a5f; --edge: #60a5fa; --left-out: #24272c; --bad: #5f1d1d; --bad-edge: #f87171;
  --involved: #4d3a0d; --involved-edge: #fbbf24; --mark: #c084fc; } }
* { box-sizing: border-box }
body { margin: 0; padding: 1.5rem; background: var(--paper); color: var(--ink);
  font: 0.875rem/1.45 system-ui, sans-serif }
h1 { font-size: 1.25rem; margin: 0 0 .5rem } h2 { font-size: 1rem; margin: 1.5rem 0 .4rem }
.summary { margin: 0 0 1rem; padding-left: .8rem; border-left: 4px solid var(--bad-edge); white-space: pre-wrap }
.faint, .axis, .legend { color: var(--faint) }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px }
.chart { position: relative; width: calc(var(--name) + var(--columns) * var(--step) + 1rem) }
.axis { height: 1.6rem; position: relative; font-size: .72rem; font-variant-numeric: tabular-nums }
.axis span { position: absolute; left: calc(var(--name) + var(--at) * var(--step)); top: .3rem; white-space: nowrap }
.lane { display: flex; border-top: 1px solid var(--line) }
.lane h3 { position: sticky; left: 0; z-index: 3; flex: none; width: var(--name); margin: 0; padding: .3rem .6rem;
  font-size: .8rem; background: var(--paper); overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.lane ol { position: relative; flex: 1; margin: 0; padding: 0; list-style: none;
  height: calc(var(--rows) * var(--row) + .3rem) }
.bar { position: absolute; left: calc(var(--from) * var(--step)); top: calc(var(--at-row) * var(--row) + .25rem);
  width: calc((var(--to) - var(--from)) * var(--step) - 3px); height: calc(var(--row) - .3rem); padding: .1rem .35rem;
  border: 1.5px solid var(--edge); border-radius: 4px; background: var(--bar); font-size: .76rem;
  overflow: hidden; text-overflow: ellipsis; white-space: nowrap }
.bar:hover { width: max-content; min-width: calc((var(--to) - var(--from)) * var(--step) - 3px); z-index: 2 }
.bar.outside { border: 1.5px dashed var(--faint); background: var(--left-out) }
.bar.unknown { border-right-style: dotted; border-top-right-radius: 0; border-bottom-right-radius: 0 }
.bar.involved { background: var(--involved); border: 2px solid var(--involved-edge) }
.bar.illegal { background: var(--bad); border: 2.5px solid var(--bad-edge); font-weight: 650 }
.bar b { display: inline-block; min-width: 1.15rem; margin-right: .3rem; padding: 0 .2rem; border-radius: .6rem;
  text-align: center; font-size: .68rem; background: var(--edge); color: var(--paper) }
.mark { position: absolute; z-index: 1; left: calc(var(--name) + var(--at) * var(--step)); top: 0; bottom: 0;
  border-left: 2px dashed var(--mark) }
.mark span { position: absolute; top: 0; left: 2px; padding: 0 .3rem; background: var(--mark); color: #fff;
  border-radius: 0 4px 4px 0; font-size: .7rem; white-space: nowrap }
.legend { margin: .6rem 0 0; font-size: .78rem }
.order { margin: 0; padding-left: 0; list-style: none; font-family: ui-monospace, monospace; font-size: .8rem }
`
