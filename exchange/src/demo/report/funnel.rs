//! How many items reach each step from order to money.

use super::chart::{self, Anchor, Area, Canvas, Layout};
use super::scale::Scale;
use super::{FunnelStep, html, number};

/// Height of one step: a line of text, a bar and air.
const STEP_HEIGHT: i128 = 500;
/// Thickness of a bar.
const BAR_HEIGHT: i128 = 180;

/// The section about the funnel.
pub(super) fn section(steps: &[FunnelStep]) -> String {
    let title = "From orders to money";
    let lead = lead(steps);
    let body = if steps.is_empty() {
        html::figure(title, &[], &html::empty("Nothing was counted."))
    } else {
        let charts = chart::both(|layout| draw(steps, layout).finish(title, &lead));
        [
            html::figure("Count at each step, and share of the first step", &[], &charts),
            table(steps),
        ]
        .concat()
    };
    html::section("funnel", title, &lead, &body)
}

/// What the chart says, in words.
fn lead(steps: &[FunnelStep]) -> String {
    match steps {
        [] => String::new(),
        [only] => format!("{}: {}.", only.label, number::grouped(only.count)),
        [first, next, ..] => format!(
            "{} {} became {} {}.",
            number::grouped(first.count),
            first.label,
            number::grouped(next.count),
            next.label,
        ),
    }
}

fn draw(steps: &[FunnelStep], layout: Layout) -> Canvas {
    let first = steps.first().map_or(0, |step| step.count);
    let largest = steps.iter().map(|step| step.count).max().unwrap_or(0);
    let scale = Scale::covering(0, largest.into(), 1, layout.ticks_max() - 1);
    let bottom = number::signed(steps.len()) * STEP_HEIGHT;
    let area = Area { left: 0, right: layout.width() - 250, top: 0, bottom };
    let mut canvas = Canvas::new(layout, bottom + 460);
    let x = |count: i128| scale.place(count, area.left, area.right);
    // The first label would be cut off on the left; zero goes without saying.
    let ticks: Vec<(i128, String)> =
        scale.ticks(0).into_iter().skip(1).map(|(count, label)| (x(count), label)).collect();
    for (x, _) in &ticks {
        canvas.line("grid", (*x, area.top), (*x, area.bottom));
    }
    let mut top = area.top;
    for step in steps {
        let value =
            format!("{} · {}", number::grouped(step.count), number::share(step.count, first));
        let room = area.right - area.left - chart::text_width(&value) - 100;
        canvas.text("halo", Anchor::Start, (area.left, top + 170), &shortened(&step.label, room));
        canvas.text("halo value", Anchor::End, (area.right, top + 170), &value);
        let length = (x(step.count.into()) - area.left).max(i128::from(step.count > 0) * 15);
        let bar = Area {
            left: area.left,
            right: area.left + length,
            top: top + 230,
            bottom: top + 230 + BAR_HEIGHT,
        };
        canvas.rectangle("track", Area { right: area.right, ..bar });
        canvas.rectangle_with_hint("step", bar, &format!("{}: {value}", step.label));
        top += STEP_HEIGHT;
    }
    canvas.axis_bottom(area, &ticks, "Count");
    canvas
}

/// `text`, cut to about `width` with an ellipsis.
fn shortened(text: &str, width: i128) -> String {
    if chart::text_width(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    for character in text.chars() {
        if chart::text_width(&short) + 2 * chart::text_width("…") > width {
            break;
        }
        short.push(character);
    }
    format!("{}…", short.trim_end())
}

fn table(steps: &[FunnelStep]) -> String {
    let first = steps.first().map_or(0, |step| step.count);
    let mut before = first;
    let mut rows = Vec::with_capacity(steps.len());
    for step in steps {
        rows.push(vec![
            step.label.clone(),
            number::grouped(step.count),
            number::share(step.count, first),
            number::share(step.count, before),
        ]);
        before = step.count;
    }
    let head = ["step", "count", "of the first step", "of the step before"];
    html::data_table("Steps as a table", &head, 1, &rows)
}
