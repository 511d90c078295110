//! The smallest binary that can run a fleet, for this crate's tests: the hidden verbs, and a fleet of the command it is given.

use std::process::ExitCode;

use plimsoll_supervisor::{Event, SELF_EXE, Spec, Supervisor, hidden_verb};

/// `plimsoll-supervised INSTANCES COMMAND…` prints the pid of everything it starts, and runs until it is killed.
fn main() -> ExitCode {
    if let Some(code) = hidden_verb(std::env::args_os()) {
        return code;
    }
    let mut arguments = std::env::args_os().skip(1);
    let instances = arguments.next().and_then(|count| count.to_str()?.parse().ok()).expect("the first argument is a number");
    let mut spec = Spec::new(SELF_EXE.into(), std::env::temp_dir(), arguments.collect());
    spec.instances = instances;
    spec.inherited = std::env::vars_os().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(async {
        let (_supervisor, mut events) = Supervisor::start(spec).await.expect("the fleet starts");
        while let Some(event) = events.recv().await {
            if let Event::Line { text, .. } = event {
                use std::io::Write;
                writeln!(std::io::stdout(), "{text}").expect("somebody reads");
            }
        }
    });
    ExitCode::SUCCESS
}
