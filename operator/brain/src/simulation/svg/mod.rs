//! A run as a picture that is read at a glance: is there enough, when was there not, what was decided, what moved.
//!
//! ```text
//! for each workload:   load (area) under the ready pods (line); red where it isn't, ▲▼ decisions, amber a panic
//!                      how long the longest queue waits (consumers)
//!                      the hottest member against the band, and slots that move (bars)
//! ```
//!
//! Written by hand: rectangles, paths and text need no crate, and a plotting crate's output would change with its version.

mod chart;

use std::fmt::Write;

use self::chart::{Chart, Time, escape};
use super::run::{Lane, Run, Sample, What, counted};
use super::trace::Event;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 984.0;
const LOAD_HEIGHT: f64 = 170.0;
const STRIP_HEIGHT: f64 = 56.0;
/// Between charts; room for a caption.
const GAP: f64 = 26.0;

const STYLE: &str = "
text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;fill:#1f2328}
.bg{fill:#fff}.soft{fill:#59636e}.head{font-size:15px;font-weight:600}.small{font-size:11px}
.grid{stroke:#d1d9e0;fill:none}.area{fill:#0969da;fill-opacity:.22}.line{stroke:#0969da;fill:none;stroke-width:1.2}
.ready{stroke:#1f2328;fill:none;stroke-width:2.2}.asked{stroke:#59636e;fill:none;stroke-width:1.4;stroke-dasharray:4 3}
.over{fill:#cf222e}.mark{fill:#1f2328}
.panic{fill:#d4a72c}.move{fill:#8250df}.moveline{stroke:#8250df;fill:none;stroke-width:3}.hot{stroke:#bc4c00;fill:none;stroke-width:1.4}
.limit{stroke:#59636e;fill:none;stroke-dasharray:2 3}.event{stroke:#59636e;fill:none}.span{fill:#59636e;fill-opacity:.13}
@media(prefers-color-scheme:dark){text{fill:#f0f6fc}.bg{fill:#0d1117}.soft{fill:#9198a1}.grid{stroke:#30363d}
.area{fill:#4493f8;fill-opacity:.28}.line{stroke:#4493f8}.ready{stroke:#f0f6fc}.asked{stroke:#9198a1}.over{fill:#f85149}
.mark{fill:#f0f6fc}.panic{fill:#d29922}.move{fill:#ab7df8}.moveline{stroke:#ab7df8}.hot{stroke:#f0883e}.limit,.event{stroke:#9198a1}.span{fill:#9198a1}}
";

impl Run {
    /// The run as an SVG of its own: no script, no font, readable on light and dark.
    pub fn svg(&self) -> String {
        let mut body = String::new();
        let mut top = legend(&mut body);
        for lane in &self.lanes {
            top = draw(&mut body, lane, top);
        }
        let height = top + 8.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
             aria-label=\"Load, pods, waiting and balance of each workload over time\">\n\
             <style>{STYLE}</style>\n<rect class=\"bg\" width=\"{WIDTH}\" height=\"{height}\"/>\n{body}</svg>\n"
        )
    }
}

/// What the colours mean; gives the bottom of it.
fn legend(body: &mut String) -> f64 {
    let mut x = LEFT;
    let mut key = |shape: String, text: &str, width: f64| {
        let _ = writeln!(body, "{shape}<text class=\"small\" x=\"{}\" y=\"19\">{text}</text>", x + 24.0);
        x += width;
        x
    };
    let rect = |class: &str, x: f64| {
        format!("<rect class=\"{class}\" x=\"{x}\" y=\"9\" width=\"18\" height=\"11\"/>")
    };
    let line = |class: &str, x: f64| format!("<path class=\"{class}\" d=\"M{x} 15h18\"/>");
    let mut at = key(rect("area", LEFT), "load, in pods at their target", 190.0);
    at = key(line("ready", at), "ready pods", 94.0);
    at = key(line("asked", at), "asked for", 86.0);
    at = key(rect("over", at), "more than they should carry", 186.0);
    at = key(rect("panic", at), "panic", 66.0);
    at = key(line("hot", at), "hottest pod ÷ its share", 172.0);
    key(rect("move", at), "slots that move", 0.0);
    34.0
}

fn draw(body: &mut String, lane: &Lane, top: f64) -> f64 {
    let time = Time::new(lane.samples.len(), LEFT, RIGHT);
    let figures = lane.summary();
    let _ = writeln!(
        body,
        "<text class=\"head\" x=\"{LEFT}\" y=\"{}\">{}</text><text class=\"soft\" x=\"{RIGHT}\" y=\"{0}\" text-anchor=\"end\">\
         {} to {} pods, used to {:.0} % · {}, {} · over for {} s · {} moved</text>",
        top + 16.0,
        escape(&lane.name),
        figures.fewest,
        figures.most,
        100.0 * figures.utilisation,
        counted(figures.changes, "change"),
        counted(figures.turns, "turn"),
        figures.over_seconds,
        counted(figures.moves, "slot"),
    );
    let pods = f64::from(lane.samples.iter().map(|s| s.ready.max(s.desired)).max().unwrap_or(0));
    let load = Chart::new(time, top + 44.0, LOAD_HEIGHT, figures.peak.max(pods) * 1.08);
    let mut charts = vec![load];
    let wait = lane.drain_target.map(|target| {
        let highest = figures.longest_wait.max(target.as_secs_f64() * 1.6);
        Chart::new(time, load.bottom() + GAP, STRIP_HEIGHT, highest * 1.05)
    });
    charts.extend(wait);
    let last = wait.map_or(load.bottom(), Chart::bottom);
    let hottest = lane.samples.iter().map(|s| s.imbalance).fold(lane.band, f64::max);
    let balance = Chart::new(time, last + GAP, STRIP_HEIGHT, (hottest - 1.0).max(0.15) * 1.15);
    charts.push(balance);

    for chart in &charts {
        chart.frame(body);
    }
    spans(body, lane, load, balance.bottom());
    load_chart(body, lane, load);
    if let (Some(chart), Some(target)) = (wait, lane.drain_target) {
        wait_chart(body, lane, chart, target.as_secs_f64());
    }
    balance_chart(body, lane, balance);
    time.axis(body, balance.bottom());
    balance.bottom() + 48.0
}

/// What lasts (an outage) as a shade, what happens as a line, both with their name.
fn spans(body: &mut String, lane: &Lane, load: Chart, bottom: f64) {
    let time = load.time;
    let events = || {
        lane.entries.iter().filter_map(|entry| match entry.what {
            What::Event(event) => Some((entry.at, event)),
            _ => None,
        })
    };
    let mut free = LEFT;
    for (at, event) in events() {
        let until = match event {
            Event::MetricsOut => Some(Event::MetricsBack),
            Event::DependencyOut => Some(Event::DependencyBack),
            Event::Rollout => Some(Event::RolloutDone),
            Event::MemberLost => None,
            // The end of a shade.
            Event::MetricsBack | Event::DependencyBack | Event::RolloutDone => continue,
        };
        let (x, top) = (time.x(at), load.top);
        if let Some(end) = until {
            let end = events()
                .find(|(then, event)| *then > at && *event == end)
                .map_or(RIGHT, |(at, _)| time.x(at));
            let _ = writeln!(
                body,
                "<rect class=\"span\" x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                end - x,
                bottom - top
            );
        } else {
            let _ = writeln!(body, "<path class=\"event\" d=\"M{x:.1} {:.1}V{bottom:.1}\"/>", top - 4.0);
        }
        // Names that would overlap are left to the shade and the table.
        if x >= free {
            let name = event.label();
            let _ = writeln!(
                body,
                "<text class=\"small soft\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text>",
                top - 8.0
            );
            free = x + 7.0 * name.len() as f64;
        }
    }
}

fn load_chart(body: &mut String, lane: &Lane, chart: Chart) {
    chart.scale(body, &wholes(chart.highest / 1.08), None);
    let load = |samples: &[Sample]| samples.iter().map(|s| s.load).fold(0.0, f64::max);
    chart.area(body, &lane.samples, load);
    chart.between(body, &lane.samples, |sample| (f64::from(sample.ready), sample.load));
    chart.steps(body, &lane.samples, "asked", |sample| f64::from(sample.desired));
    chart.steps(body, &lane.samples, "ready", |sample| f64::from(sample.ready));
    panics(body, lane, chart);
    marks(body, lane, chart);
}

/// A strip on top, while there is a panic.
fn panics(body: &mut String, lane: &Lane, chart: Chart) {
    let mut start = None;
    for (index, sample) in lane.samples.iter().enumerate() {
        let last = index + 1 == lane.samples.len();
        match (start, sample.panics) {
            (None, true) => start = Some(sample.at),
            (Some(from), panics) if !panics || last => {
                let (x, end) = (chart.time.x(from), chart.time.x(sample.at));
                let _ = writeln!(
                    body,
                    "<rect class=\"panic\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"5\"/>",
                    chart.top,
                    (end - x).max(2.0)
                );
                start = None;
            }
            _ => {}
        }
    }
}

/// A triangle at each change, its numbers where there is room, its reason for who points at it.
fn marks(body: &mut String, lane: &Lane, chart: Chart) {
    let mut free = LEFT - 20.0;
    for entry in &lane.entries {
        let What::Scale(decision) = &entry.what else { continue };
        if !decision.is_change() {
            continue;
        }
        let up = decision.replicas > decision.from;
        let (x, y) = (chart.time.x(entry.at), chart.y(decision.replicas.into()));
        let path = if up { "m-4.5 -1l4.5 -8l4.5 8z" } else { "m-4.5 -9l4.5 8l4.5 -8z" };
        let _ = write!(
            body,
            "<path class=\"mark\" d=\"M{x:.1} {y:.1}{path}\"><title>{}</title></path>",
            escape(&format!("{} {decision}", lane.name))
        );
        if x >= free {
            let text = format!("{}→{}", decision.from, decision.replicas);
            let _ = write!(
                body,
                "<text class=\"small\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                if up { y - 12.0 } else { y + 15.0 }
            );
            free = x + 38.0;
        }
        body.push('\n');
    }
}

fn wait_chart(body: &mut String, lane: &Lane, chart: Chart, target: f64) {
    let wait = |samples: &[Sample]| samples.iter().map(|s| s.wait).fold(0.0, f64::max);
    chart.area(body, &lane.samples, wait);
    chart.between(body, &lane.samples, |sample| (target, sample.wait));
    chart.limit(body, target);
    let mut marks = vec![(target, format!("{target:.0} s"))];
    if chart.highest > 2.0 * target {
        marks.push((chart.highest / 1.05, format!("{:.0} s", chart.highest / 1.05)));
    }
    chart.scale(body, &marks, Some("longest queue, in seconds of work"));
}

fn balance_chart(body: &mut String, lane: &Lane, chart: Chart) {
    let most = lane.samples.iter().map(|s| s.moved).max().unwrap_or(0).max(1) as f64;
    let mut bars = String::new();
    for sample in lane.samples.iter().filter(|sample| sample.moved > 0) {
        let height = (sample.moved as f64 / most).max(0.12) * (STRIP_HEIGHT - 6.0);
        let _ = write!(bars, "M{:.1} {:.1}v-{height:.1}", chart.time.x(sample.at), chart.bottom());
    }
    let _ = writeln!(body, "<path class=\"moveline\" d=\"{bars}\"/>");
    chart.steps(body, &lane.samples, "hot", |sample| (sample.imbalance - 1.0).max(0.0));
    chart.limit(body, lane.band - 1.0);
    let mut marks = vec![(lane.band - 1.0, format!("{:.1}", lane.band)), (0.0, "1.0".to_owned())];
    let highest = chart.highest / 1.15;
    if highest > 2.5 * (lane.band - 1.0) {
        marks.push((highest, format!("{:.1}", highest + 1.0)));
    }
    let name = format!(
        "hottest pod ÷ its share, band {:.2}; bars: slots that move, at most {most:.0} at once",
        lane.band
    );
    chart.scale(body, &marks, Some(&name));
}

/// Whole numbers up to a value, some three of them.
fn wholes(highest: f64) -> Vec<(f64, String)> {
    let step = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]
        .into_iter()
        .find(|step| highest / step < 4.0)
        .unwrap_or(1_000.0);
    (0..4)
        .map(|mark| step * f64::from(mark))
        .filter(|at| *at <= highest)
        .map(|at| (at, format!("{at:.0}")))
        .collect()
}
