//! Time to pixels, values to pixels, and the few shapes that charts are made of.

use std::fmt::Write;

use super::{LEFT, RIGHT, Sample};

/// The axis that all charts share.
#[derive(Clone, Copy)]
pub(super) struct Time {
    seconds: usize,
    left: f64,
    right: f64,
}

impl Time {
    pub(super) fn new(seconds: usize, left: f64, right: f64) -> Self {
        Self { seconds: seconds.max(1), left, right }
    }

    pub(super) fn x(self, at: u32) -> f64 {
        self.left + (self.right - self.left) * f64::from(at) / self.seconds as f64
    }

    /// The samples of each column of pixels, with its left edge; fewer columns where there are fewer samples.
    pub(super) fn columns(self, samples: &[Sample]) -> impl Iterator<Item = (f64, &[Sample])> {
        // One column a pixel: more can't be seen and would make the file large.
        let per_column = samples.len().div_ceil(932).max(1);
        samples
            .chunks(per_column)
            .map(move |chunk| (chunk.first().map_or(self.left, |s| self.x(s.at)), chunk))
    }

    /// Lines' worth of labels under the last chart.
    pub(super) fn axis(self, body: &mut String, y: f64) {
        const STEPS: [usize; 12] = [30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 43_200, 86_400];
        let step = STEPS.into_iter().find(|step| self.seconds / step <= 12).unwrap_or(86_400);
        for at in (0..=self.seconds).step_by(step) {
            let x = self.x(u32::try_from(at).unwrap_or(u32::MAX));
            let text = match at {
                0 => "0".to_owned(),
                _ if step >= 3_600 => format!("{} h", at / 3_600),
                _ if step >= 60 => format!("{} min", at / 60),
                _ => format!("{at} s"),
            };
            let _ = write!(body, "<path class=\"grid\" d=\"M{x:.1} {y:.1}v4\"/>");
            let _ = writeln!(
                body,
                "<text class=\"small soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{text}</text>",
                y + 17.0,
                if x > self.right - 20.0 { "end" } else { "middle" }
            );
        }
    }
}

/// One chart: from 0 at its bottom to `highest` at its top.
#[derive(Clone, Copy)]
pub(super) struct Chart {
    pub(super) time: Time,
    pub(super) top: f64,
    height: f64,
    pub(super) highest: f64,
}

impl Chart {
    pub(super) fn new(time: Time, top: f64, height: f64, highest: f64) -> Self {
        let highest = if highest.is_finite() && highest > 0.0 { highest } else { 1.0 };
        Self { time, top, height, highest }
    }

    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }

    pub(super) fn y(self, value: f64) -> f64 {
        self.bottom() - self.height * (value / self.highest).clamp(0.0, 1.0)
    }

    pub(super) fn frame(self, body: &mut String) {
        let _ = writeln!(body, "<path class=\"grid\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", self.bottom());
    }

    /// Values at the left, and what they are above.
    pub(super) fn scale(self, body: &mut String, marks: &[(f64, String)], name: Option<&str>) {
        let mut taken: Vec<f64> = Vec::new();
        for (value, text) in marks {
            let y = self.y(*value);
            // The first of two that would overlap is the one that matters.
            if taken.iter().any(|other| (other - y).abs() < 11.0) {
                continue;
            }
            taken.push(y);
            let _ = write!(body, "<path class=\"grid\" d=\"M{} {y:.1}h4\"/>", LEFT - 4.0);
            let _ = write!(
                body,
                "<text class=\"small soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 7.0,
                y + 4.0
            );
        }
        if let Some(name) = name {
            let y = self.top - 6.0;
            let _ =
                write!(body, "<text class=\"small soft\" x=\"{LEFT}\" y=\"{y:.1}\">{}</text>", escape(name));
        }
        body.push('\n');
    }

    /// A line across.
    pub(super) fn limit(self, body: &mut String, value: f64) {
        let _ = writeln!(body, "<path class=\"limit\" d=\"M{LEFT} {:.1}H{RIGHT}\"/>", self.y(value));
    }

    /// A filled curve of the columns' values.
    pub(super) fn area(self, body: &mut String, samples: &[Sample], value: impl Fn(&[Sample]) -> f64) {
        let mut line = String::new();
        let mut last = String::new();
        let mut columns = self.time.columns(samples).peekable();
        while let Some((x, chunk)) = columns.next() {
            let y = format!("{:.1}", self.y(value(chunk)));
            let first = line.is_empty();
            // Points on a level are left out but for its end.
            let level = y == last
                && columns.peek().is_some_and(|(_, next)| format!("{:.1}", self.y(value(next))) == y);
            if !level {
                let _ = write!(line, "{}{x:.1} {y}", if first { "M" } else { "L" });
            }
            last = y;
        }
        let _ = write!(line, "H{RIGHT}");
        let bottom = self.bottom();
        let _ = writeln!(body, "<path class=\"area\" d=\"{line}V{bottom:.1}H{LEFT}z\"/>");
        let _ = writeln!(body, "<path class=\"line\" d=\"{line}\"/>");
    }

    /// Where the second of two values is above the first: the space between them.
    pub(super) fn between(
        self,
        body: &mut String,
        samples: &[Sample],
        values: impl Fn(&Sample) -> (f64, f64),
    ) {
        let mut shape = String::new();
        let mut back: Vec<(f64, f64)> = Vec::new();
        let close = |shape: &mut String, back: &mut Vec<(f64, f64)>, end: f64| {
            for (index, (x, low)) in back.drain(..).rev().enumerate() {
                let y = self.y(low);
                let _ = if index == 0 {
                    write!(shape, "H{end:.1}V{y:.1}H{x:.1}")
                } else {
                    write!(shape, "V{y:.1}H{x:.1}")
                };
            }
            shape.push('z');
        };
        for (x, chunk) in self.time.columns(samples) {
            let worst = chunk.iter().map(&values).filter(|(low, high)| high > low);
            match worst.max_by(|one, other| (one.1 - one.0).total_cmp(&(other.1 - other.0))) {
                Some((low, high)) => {
                    let y = self.y(high);
                    let _ = if back.is_empty() {
                        write!(shape, "M{x:.1} {y:.1}")
                    } else {
                        write!(shape, "H{x:.1}V{y:.1}")
                    };
                    back.push((x, low));
                }
                None if !back.is_empty() => close(&mut shape, &mut back, x),
                None => {}
            }
        }
        if !back.is_empty() {
            close(&mut shape, &mut back, RIGHT);
        }
        let _ = writeln!(body, "<path class=\"over\" d=\"{shape}\"/>");
    }

    /// A line that stays level until its value changes.
    pub(super) fn steps(
        self,
        body: &mut String,
        samples: &[Sample],
        class: &str,
        value: impl Fn(&Sample) -> f64,
    ) {
        let mut line = String::new();
        let mut last = String::new();
        for sample in samples {
            let y = format!("{:.1}", self.y(value(sample)));
            if y != last {
                let x = self.time.x(sample.at);
                let _ =
                    if line.is_empty() { write!(line, "M{x:.1} {y}") } else { write!(line, "H{x:.1}V{y}") };
                last = y;
            }
        }
        let _ = writeln!(body, "<path class=\"{class}\" d=\"{line}H{RIGHT}\"/>");
    }
}

/// For text in XML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
