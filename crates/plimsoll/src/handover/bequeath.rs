//! The running process's side: starts its successor, and lets go only when that serves.

use std::io;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use plimsoll_supervisor::Successor;
use tokio::time::{sleep, timeout};

use super::channel::Channel;
use super::{Binary, Estate, ToPredecessor, ToSuccessor};
use crate::config::Environment;

/// From the order to go to the first connection it takes: it has nothing else left to do.
const GO_PATIENCE: Duration = Duration::from_secs(10);

/// Starts the binary's file as it is now and hands everything over. Returns the successor once it serves; after an error it is gone, and nothing has
/// changed.
pub async fn bequeath(binary: &Binary, environment: &Environment, estate: Estate, patience: Duration) -> anyhow::Result<Successor> {
    if std::process::id() == 1 {
        bail!("the first process of a container ends the container when it ends: start another container instead");
    }
    let (channel, theirs) = Channel::pair().context("cannot make a channel")?;
    let started = Successor::start(&binary.file, binary.arguments.clone(), environment.for_successor(), theirs);
    let mut successor = started.with_context(|| format!("cannot start `{}`", binary.file.display()))?;
    let pid = successor.pid();
    let handed_over = tokio::select! {
        biased;
        handed_over = hand_over(&channel, estate, patience) => handed_over,
        status = successor.ended() => Err(last_words(&channel, &status).await),
    };
    handed_over.with_context(|| format!("the new process ({pid}) did not take over"))?;
    successor.leave();
    Ok(successor)
}

async fn hand_over(channel: &Channel, estate: Estate, patience: Duration) -> anyhow::Result<()> {
    if let Err(error) = estate.send(channel).await {
        return gone(error).await;
    }
    drop(estate);
    match timeout(patience, channel.receive()).await {
        Ok(Ok((ToPredecessor::Ready, _))) => {}
        Ok(Ok((said, _))) => return Err(unexpected(said)),
        Ok(Err(error)) => return gone(error).await,
        Err(_) => bail!("it was not ready within {patience:?} (fleet.startup_timeout and ten seconds)"),
    }
    if let Err(error) = channel.send(&ToSuccessor::Go, &[]).await {
        return gone(error).await;
    }
    match timeout(GO_PATIENCE, channel.receive()).await {
        Ok(Ok((ToPredecessor::Serving, _))) => Ok(()),
        Ok(Ok((said, _))) => Err(unexpected(said)),
        Ok(Err(error)) => gone(error).await,
        Err(_) => bail!("it was ready, and then took no connections"),
    }
}

fn unexpected(said: ToPredecessor) -> anyhow::Error {
    match said {
        ToPredecessor::Failed(why) => anyhow!("{why}"),
        ToPredecessor::Ready | ToPredecessor::Serving => anyhow!("it speaks another language: is it another version?"),
    }
}

/// It has closed its end, so it is ending: how, and with which words, is known in a moment.
async fn gone(error: io::Error) -> anyhow::Result<()> {
    sleep(GO_PATIENCE).await;
    Err(error).context("it hung up")
}

/// Why it ended, if it said so.
async fn last_words(channel: &Channel, status: &str) -> anyhow::Error {
    while let Ok(Ok((said, _))) = timeout(GO_PATIENCE, channel.receive()).await {
        if let ToPredecessor::Failed(why) = said {
            return anyhow!("{why}");
        }
    }
    anyhow!("it ended with {status}, and its last lines in the log say why")
}
