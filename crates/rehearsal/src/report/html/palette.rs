//! The colours of the plots, in light and in dark.

use std::fmt::Write as _;

use plotters::style::RGBColor;

/// Text of a drawing; the page's style sheet replaces it by the colour of its text.
pub(super) const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Axes and grid: a grey that is seen on white and on black.
pub(super) const RULE: RGBColor = RGBColor(0x8a, 0x8a, 0x8a);

/// How many colours lines can be told apart by.
pub(super) const HUES: usize = 6;

/// Light and dark of each colour. Neighbours differ in lightness too, for those who see colours differently.
const PAIRS: [(RGBColor, RGBColor); HUES] = [
    (RGBColor(0x1f, 0x5f, 0xa8), RGBColor(0x74, 0xb0, 0xf0)),
    (RGBColor(0xd9, 0x7b, 0x12), RGBColor(0xf2, 0xab, 0x52)),
    (RGBColor(0x2b, 0x8a, 0x57), RGBColor(0x66, 0xc9, 0x93)),
    (RGBColor(0xb8, 0x2e, 0x3a), RGBColor(0xf2, 0x80, 0x86)),
    (RGBColor(0x7b, 0x4f, 0xa6), RGBColor(0xbd, 0x97, 0xe6)),
    (RGBColor(0x5c, 0x6b, 0x73), RGBColor(0xa3, 0xb4, 0xbd)),
];

/// One of the colours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hue(usize);

impl Hue {
    pub const BLUE: Self = Self(0);
    pub const ORANGE: Self = Self(1);
    pub const RED: Self = Self(3);

    /// The colour of the line with this index.
    pub const fn of(index: usize) -> Self {
        Self(index % HUES)
    }

    /// The colour on white, which is what is drawn with.
    pub const fn light(self) -> RGBColor {
        PAIRS[self.0].0
    }

    /// The class of what stands for the line in a legend.
    pub fn class(self) -> String {
        format!("hue-{}", self.0)
    }
}

/// Rules that name the colours, for legends, and that replace those of a drawing when the page is dark. A drawing has its
/// colours in attributes, over which a style sheet has precedence.
pub(super) fn style() -> String {
    let mut light = String::new();
    let mut dark = String::new();
    let mut uses = format!("svg text{{fill:currentColor}}svg [stroke=\"{}\"]{{stroke:var(--rule)}}", hex(RULE));
    for (index, (on_white, on_black)) in PAIRS.iter().enumerate() {
        let _ = write!(light, "--hue-{index}:{};", hex(*on_white));
        let _ = write!(dark, "--hue-{index}:{};", hex(*on_black));
        let _ = write!(uses, ".hue-{index}{{background:var(--hue-{index})}}");
        let _ = write!(uses, "svg [stroke=\"{}\"]{{stroke:var(--hue-{index})}}", hex(*on_white));
    }
    format!(":root{{{light}}}@media (prefers-color-scheme:dark){{:root{{{dark}}}}}{uses}")
}

/// As plotters writes it, since rules find a line by its colour.
fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}
