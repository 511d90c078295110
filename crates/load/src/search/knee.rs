//! Where more load begins to cost more than it brings.

use serde::{Deserialize, Serialize};

/// One measured rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Offered requests per second.
    pub rate: f64,
    /// Good answers per second.
    pub goodput: f64,
    /// Latency in seconds; none if nothing was answered.
    pub latency: Option<f64>,
}

/// The rate at which goodput divided by latency, Kleinrock's power, is highest: below it load is cheap, above it each further request
/// mostly waits. None without answers.
pub fn knee(points: &[Point]) -> Option<Point> {
    let power = |point: &Point| point.latency.filter(|latency| *latency > 0.0).map(|latency| point.goodput / latency);
    let with_power = points.iter().filter_map(|point| Some((*point, power(point)?)));
    with_power.max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(point, _)| point)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_mm1_queue_it_is_half_the_capacity() {
        let capacity = 1_000.0;
        let point = |rate: f64| Point { rate, goodput: rate, latency: Some(1.0 / (capacity - rate)) };
        let points: Vec<_> = (1..20).map(|step| point(f64::from(step) * 50.0)).collect();
        assert!((knee(&points).unwrap().rate - 500.0).abs() < 1.0);
    }

    #[test]
    fn of_a_server_that_never_queues_it_is_the_end_of_the_line() {
        let point = |rate: f64| Point { rate, goodput: rate.min(400.0), latency: Some(if rate > 400.0 { 5.0 } else { 0.01 }) };
        let knee = knee(&[point(100.0), point(200.0), point(400.0), point(800.0)]).unwrap();
        assert!((knee.rate - 400.0).abs() < 1.0);
        assert_eq!(super::knee(&[Point { rate: 1.0, goodput: 0.0, latency: None }]), None);
    }
}
