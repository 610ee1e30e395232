//! The node as a library, driven over standard streams: everything that `exequatur run` is, and a
//! line protocol by which a test or a benchmark has this very node propose.
//!
//! The product has no such way in: whoever may propose anything may revoke anything. So it is an
//! example, which nobody installs. A line is a number and a question, the answer a line with the
//! same number; questions are answered as they are done, not in their order. The end of standard
//! input ends the node, so that it never outlives whoever drives it.
#![expect(clippy::print_stderr, reason = "a program answers on its standard streams")]

mod measure;
mod question;

use std::{
    io::{BufRead as _, Write as _, stdin, stdout},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use exequatur_node::{
    cli::Files,
    clock::SystemClock,
    consensus::Consensus,
    entropy::SystemEntropy,
    node::{Node, Seams},
    telemetry::logs::{LogFormat, install},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    task::JoinSet,
};
use tracing_subscriber::filter::LevelFilter;

/// As in the product, whose speed is measured with this program.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Questions that wait to be read, and answers that wait to be written.
const LINES_MAX: usize = 1_024;

/// Run the region's node and take questions from standard input.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    files: Files,
}

fn main() -> ExitCode {
    exequatur_node::memory::use_small_pages();
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    install(LogFormat::Text, LevelFilter::INFO).map_err(|e| with_causes(&e))?;
    let configured = arguments.files.load().map_err(|e| e.to_string())?;
    let seams = Seams {
        clock: Arc::new(SystemClock::start()),
        entropy: Arc::new(SystemEntropy::default()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| e.to_string())?.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(|e| e.to_string())?;
        let node = Node::start(configured, seams).await.map_err(|e| with_causes(&e))?;
        let consensus = node.consensus().ok_or("the region file has no [cluster]")?;
        let mut talking = JoinSet::new();
        talking.spawn(talk(consensus));
        let stop = async {
            tokio::select! {
                _ = terminate.recv() => {}
                // Whoever drove the node is gone.
                _ = talking.join_next() => {}
            }
        };
        Box::pin(node.serve(stop)).await.map_err(|e| with_causes(&e))
    })
}

/// Answers questions until there are no more.
async fn talk(consensus: Arc<Consensus>) {
    let (questions, mut asked) = mpsc::channel::<String>(LINES_MAX);
    let (answers, mut answered) = mpsc::channel::<String>(LINES_MAX);
    // Standard streams block, so each has a thread; both end with the process.
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if questions.blocking_send(line).is_err() {
                return;
            }
        }
    });
    std::thread::spawn(move || {
        while let Some(line) = answered.blocking_recv() {
            let mut out = stdout().lock();
            if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    });
    let mut tasks = JoinSet::new();
    while let Some(line) = asked.recv().await {
        let Some((number, question)) = line.split_once(' ') else { continue };
        let (number, question) = (number.to_owned(), question.to_owned());
        let (consensus, answers) = (Arc::clone(&consensus), answers.clone());
        tasks.spawn(async move {
            let answer = question::answer(&consensus, &question).await;
            // Nobody reads any more.
            let _unread = answers.send(format!("{number} {answer}\n")).await.is_err();
        });
        while tasks.try_join_next().is_some() {}
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
