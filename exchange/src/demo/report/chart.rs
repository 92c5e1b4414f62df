//! The drawing surface of all charts: shapes, axes and text as SVG.
//!
//! Lengths are tenths of a CSS pixel. Each chart is drawn twice, for wide and for narrow screens,
//! so that text keeps its size; the style sheet shows the one that fits.

use super::{html, scale::Scale};

/// Estimated advance of a character, for keeping labels apart.
const CHARACTER_WIDTH: i128 = 70;
/// From a baseline to the middle of a line of text.
const TEXT_MIDDLE: i128 = 42;

/// The two widths a chart is drawn in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Desktop and paper.
    Wide,
    /// Phones.
    Narrow,
}

impl Layout {
    /// Width of a chart.
    pub(super) fn width(self) -> i128 {
        match self {
            Self::Wide => 8_400,
            Self::Narrow => 3_500,
        }
    }

    /// How many labels fit along the bottom.
    pub(super) fn ticks_max(self) -> i128 {
        match self {
            Self::Wide => 10,
            Self::Narrow => 5,
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
        }
    }
}

/// Draws a chart in both layouts.
pub(super) fn both(draw: impl Fn(Layout) -> String) -> String {
    [draw(Layout::Wide), draw(Layout::Narrow)].concat()
}

/// Estimated width of a line of text.
pub(super) fn text_width(text: &str) -> i128 {
    super::number::signed(text.chars().count()) * CHARACTER_WIDTH
}

/// Room for the longest of these tick labels left of a plot.
pub(super) fn margin_for(ticks: &[(i128, String)]) -> i128 {
    let widest = ticks.iter().map(|(_, label)| text_width(label)).max().unwrap_or(0);
    (widest + 130).max(520)
}

/// Where a plot sits on its canvas.
#[derive(Debug, Clone, Copy)]
pub(super) struct Area {
    /// Left edge.
    pub(super) left: i128,
    /// Right edge.
    pub(super) right: i128,
    /// Upper edge.
    pub(super) top: i128,
    /// Lower edge.
    pub(super) bottom: i128,
}

/// Which point of a text its position names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The left end.
    Start,
    /// The middle.
    Middle,
    /// The right end.
    End,
}

/// A chart being drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    layout: Layout,
    height: i128,
    body: String,
}

impl Canvas {
    /// An empty canvas as wide as its layout.
    pub(super) fn new(layout: Layout, height: i128) -> Self {
        Self { layout, height, body: String::new() }
    }

    /// The finished drawing, with its name and description for those who cannot see it.
    pub(super) fn finish(self, label: &str, description: &str) -> String {
        let Self { layout, height, body } = self;
        let (width, class) = (layout.width(), layout.class());
        let (label, description) = (html::escape(label), html::escape(description));
        format!(
            "<svg class=\"chart {class}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
             aria-label=\"{label}\">\n<desc>{description}</desc>\n{body}</svg>\n"
        )
    }

    /// A straight line between two points.
    pub(super) fn line(&mut self, class: &str, from: (i128, i128), to: (i128, i128)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        self.body.push_str(&format!(
            "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n"
        ));
    }

    /// A rectangle.
    pub(super) fn rectangle(&mut self, class: &str, area: Area) {
        self.rectangle_open(class, area);
        self.body.push_str("/>\n");
    }

    /// A rectangle that says `hint` when pointed at.
    pub(super) fn rectangle_with_hint(&mut self, class: &str, area: Area, hint: &str) {
        self.rectangle_open(class, area);
        self.body.push_str(&format!("><title>{}</title></rect>\n", html::escape(hint)));
    }

    /// A path; `commands` is in the language of SVG.
    pub(super) fn path(&mut self, class: &str, commands: &str) {
        self.body.push_str(&format!("<path class=\"{class}\" d=\"{commands}\"/>\n"));
    }

    /// A dot.
    pub(super) fn dot(&mut self, class: &str, (x, y): (i128, i128)) {
        self.body
            .push_str(&format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"45\"/>\n"));
    }

    /// A line of text on the baseline at `y`.
    pub(super) fn text(&mut self, class: &str, anchor: Anchor, (x, y): (i128, i128), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = html::escape(text);
        self.body.push_str(&format!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x}\" y=\"{y}\">{text}</text>\n"
        ));
    }

    /// Text in the middle of a plot that has nothing to show.
    pub(super) fn placeholder(&mut self, area: Area, text: &str) {
        let position = ((area.left + area.right) / 2, (area.top + area.bottom) / 2 + TEXT_MIDDLE);
        self.text("muted", Anchor::Middle, position, text);
    }

    /// The title of a vertical axis, on the baseline at `y`.
    pub(super) fn title_left(&mut self, y: i128, title: &str) {
        self.text("axis-title", Anchor::Start, (0, y), title);
    }

    /// A vertical axis on the left: grid lines and labels.
    pub(super) fn axis_left(&mut self, area: Area, scale: &Scale, ticks: &[(i128, String)]) {
        for (value, label) in ticks {
            let y = scale.place(*value, area.bottom, area.top);
            // Zero is a line of its own when prices go below it.
            let class = if *value == 0 { "base" } else { "grid" };
            self.line(class, (area.left, y), (area.right, y));
            self.text("tick", Anchor::End, (area.left - 90, y + TEXT_MIDDLE), label);
        }
    }

    /// A horizontal axis below: positions with their labels, and a title underneath.
    pub(super) fn axis_bottom(&mut self, area: Area, ticks: &[(i128, String)], title: &str) {
        self.line("base", (area.left, area.bottom), (area.right, area.bottom));
        for (x, label) in ticks {
            self.line("base", (*x, area.bottom), (*x, area.bottom + 45));
            self.text("tick", Anchor::Middle, (*x, area.bottom + 190), label);
        }
        let middle = (area.left + area.right) / 2;
        self.text("axis-title", Anchor::Middle, (middle, area.bottom + 400), title);
    }

    /// Text beside the right end of a horizontal line at `y`.
    pub(super) fn label_right(&mut self, class: &str, (x, y): (i128, i128), text: &str) {
        self.text(class, Anchor::Start, (x, y + TEXT_MIDDLE), text);
    }

    /// Text centred on `x`, moved inwards as far as `left..right` demands.
    pub(super) fn label_within(
        &mut self,
        class: &str,
        (x, y): (i128, i128),
        (left, right): (i128, i128),
        text: &str,
    ) {
        let half = text_width(text) / 2;
        let x = x.min(right - half).max(left + half);
        self.text(class, Anchor::Middle, (x, y), text);
    }

    fn rectangle_open(&mut self, class: &str, area: Area) {
        let Area { left, top, .. } = area;
        let (width, height) = ((area.right - left).max(0), (area.bottom - top).max(0));
        self.body.push_str(&format!(
            "<rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\""
        ));
    }
}
