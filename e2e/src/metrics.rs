//! A process's metrics, as Prometheus would read them.

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Vec<(String, f64)>);

impl Metrics {
    /// Reads the text format.
    pub fn parse(text: &str) -> Self {
        let samples = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        });
        Self(samples.collect())
    }

    /// The sum of all series of a name whose labels hold `label` (`kind="self"`; empty: all).
    pub fn sum(&self, name: &str, label: &str) -> f64 {
        let of_name = |series: &str| {
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
        };
        self.0
            .iter()
            .filter(|(series, _)| of_name(series) && series.contains(label))
            .map(|(_, value)| value)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_of_one_name_are_summed_by_label() {
        let text = "# HELP a b\na_total{x=\"1\"} 2\na_total{x=\"2\",y=\"z w\"} 3\na_total_more 9\nb 1\n";
        let metrics = Metrics::parse(text);
        assert!((metrics.sum("a_total", "") - 5.0).abs() < f64::EPSILON);
        assert!((metrics.sum("a_total", "x=\"2\"") - 3.0).abs() < f64::EPSILON);
        assert!(metrics.sum("c", "").abs() < f64::EPSILON);
    }
}
