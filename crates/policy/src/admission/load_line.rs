//! What an operator sees of admission: one picture of one moment.

/// The state and the counters of an [`Admission`](super::Admission).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoadLine {
    /// Requests at once the pool is trusted with now.
    pub limit: usize,
    /// Places taken, the lingering ones included.
    pub in_flight: usize,
    /// Places of requests whose client has left while the instance works on.
    pub lingering: usize,
    /// Requests that wait for a place: critical, normal, sheddable.
    pub waiting: [usize; 3],
    /// Requests the pool completes per second, as last measured.
    pub drain_per_second: f64,
    /// At least one class is being refused what cannot be served in time.
    pub is_overloaded: bool,
    /// Requests that got a place, since the start.
    pub admitted: u64,
    /// Those of them that waited for it.
    pub waited: u64,
    /// Requests turned away, since the start: critical, normal, sheddable.
    pub refused: [Refused; 3],
}

impl LoadLine {
    /// Requests turned away, whatever their class and the cause.
    pub fn refused_total(&self) -> u64 {
        self.refused.iter().map(Refused::total).sum()
    }
}

/// Requests turned away, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// On arrival: those ahead already took all the time there is.
    pub overloaded: u64,
    /// After waiting as long as anybody may.
    pub waited_too_long: u64,
    /// From the queue: for a more important request, or for a tenant that had fewer waiting.
    pub displaced: u64,
    /// The deadline passed, or was too near for an answer.
    pub deadline: u64,
}

impl Refused {
    pub const fn total(&self) -> u64 {
        self.overloaded + self.waited_too_long + self.displaced + self.deadline
    }
}
