"""How plots are painted, in light and dark: the page brings the colours as variables."""

from typing import Final

STYLE: Final = """
svg { width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; paint-order: stroke; stroke: var(--paper);
  stroke-width: 3px; } svg text.quiet { fill: var(--quiet); font-size: 12px; }
svg text.number { font-variant-numeric: tabular-nums; }
svg line.axis { stroke: var(--quiet); } svg line.grid { stroke: var(--line); } svg line.zero { stroke: var(--quiet); }
svg line.margin { stroke: var(--bad); stroke-dasharray: 5 4; }
svg line.chord { stroke: var(--quiet); stroke-dasharray: 2 4; }
svg line.good { stroke: var(--good); stroke-width: 2.5; } svg line.bad { stroke: var(--bad); stroke-width: 2.5; }
svg line.open { stroke: var(--open); stroke-width: 2.5; } svg polyline.hull { fill: none; stroke: var(--blue); }
svg .good { fill: var(--good); } svg .bad { fill: var(--bad); } svg .open { fill: var(--open); }
svg .hull { fill: var(--blue); } svg .beaten { fill: var(--both); } svg .both { fill: var(--both); }
svg .neither { fill: var(--neither); }
svg .hatch { fill: none; stroke: var(--paper); stroke-width: 1.5; }
svg .line { fill: none; stroke-width: 2; } svg .line.l1 { stroke-dasharray: 6 4; }
svg .l0 { stroke: var(--blue); } svg .l1 { stroke: var(--open); }
svg circle.l0 { fill: var(--blue); } svg rect.l1 { fill: var(--open); }
svg .band { fill: var(--blue); opacity: .15; } svg .edge { fill: none; stroke: var(--blue); stroke-dasharray: 2 3; }
svg .s0 { fill: var(--blue); } svg .s1 { fill: var(--good); } svg .s2 { fill: var(--open); }
svg .s3 { fill: var(--bad); } svg .s4 { fill: var(--both); } svg .s5 { fill: var(--quiet); }
"""
