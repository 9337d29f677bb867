//! A session with its socket and its timer: performs the actions, feeds the inputs, hands out the events.
//!
//! It is a future, not a task: whoever polls it decides what runs beside it. A driver that isn't polled doesn't read.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use gochat_proto::client::ServerFrame;
use tokio::time::{Instant, Sleep, sleep_until};
use tracing::debug;

use crate::codec::Encoding;
use crate::protocol::{Action, Event, Session, Settings};
use crate::socket::{Socket, SocketError};

/// Where nothing is due, the timer is put here.
const NEVER: Duration = Duration::from_hours(8760);

enum Link {
    Down,
    Opening(BoxFuture<'static, Result<Socket, SocketError>>),
    Up(Box<Socket>),
}

/// See the module.
pub struct Driver {
    session: Session,
    endpoints: Arc<[String]>,
    encoding: Encoding,
    link: Link,
    started: Instant,
    timer: Pin<Box<Sleep>>,
    armed: Duration,
}

impl Driver {
    /// `settings.endpoints` is taken from `endpoints`.
    pub fn new(mut settings: Settings, endpoints: Arc<[String]>, encoding: Encoding) -> Self {
        settings.endpoints = endpoints.len();
        let started = Instant::now();
        Self {
            session: Session::new(settings),
            endpoints,
            encoding,
            link: Link::Down,
            started,
            timer: Box::pin(sleep_until(started)),
            armed: Duration::ZERO,
        }
    }

    /// The session, to ask it things.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives the session an input; its actions are performed by the next poll of [`Self::next_event`].
    pub fn input<T>(&mut self, input: impl FnOnce(&mut Session, Duration) -> T) -> T {
        let now = self.started.elapsed();
        input(&mut self.session, now)
    }

    /// Works until there is something to tell. Cancel safe.
    pub async fn next_event(&mut self) -> Event {
        loop {
            if let Some(event) = self.act() {
                return event;
            }
            let now = self.started.elapsed();
            let due = self.session.deadline(now).unwrap_or(NEVER);
            // A timer that fires early costs a wake-up; one moved at every frame costs more.
            if due < self.armed || self.armed <= now {
                self.armed = due;
                self.timer.as_mut().reset(self.started + due);
            }
            tokio::select! {
                biased;
                input = next_input(&mut self.link) => self.take(input),
                () = &mut self.timer => {
                    let now = self.started.elapsed();
                    self.armed = Duration::ZERO;
                    self.session.tick(now);
                }
            }
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.started.elapsed();
        match input {
            Input::Opened(socket) => {
                self.link = Link::Up(socket);
                self.session.opened(now);
            }
            Input::Frame(frame) => self.session.received(now, frame),
            Input::Alive => self.session.heard(now),
            Input::Lost(error) => {
                debug!(%error, "connection lost");
                self.link = Link::Down;
                self.session.closed(now, error.close_code());
            }
        }
    }

    /// Performs actions up to the next event.
    fn act(&mut self) -> Option<Event> {
        while let Some(action) = self.session.next_action() {
            match action {
                Action::Emit(event) => return Some(event),
                Action::Connect { endpoint } => {
                    let (endpoints, encoding) = (self.endpoints.clone(), self.encoding);
                    self.link = Link::Opening(Box::pin(async move {
                        let url = endpoints.get(endpoint).map_or("", String::as_str);
                        Socket::open(url, encoding).await
                    }));
                }
                Action::Transmit(frame) => {
                    if let Link::Up(socket) = &mut self.link
                        && let Err(error) = socket.queue(&frame)
                    {
                        self.take(Input::Lost(error));
                    }
                }
                Action::Close { code } => {
                    if let Link::Up(socket) = std::mem::replace(&mut self.link, Link::Down) {
                        tokio::spawn(socket.close(code));
                    }
                }
            }
        }
        None
    }
}

enum Input {
    Opened(Box<Socket>),
    Frame(ServerFrame),
    Alive,
    Lost(SocketError),
}

async fn next_input(link: &mut Link) -> Input {
    match link {
        Link::Down => std::future::pending().await,
        Link::Opening(opening) => match opening.await {
            Ok(socket) => Input::Opened(Box::new(socket)),
            Err(error) => Input::Lost(error),
        },
        Link::Up(socket) => match socket.next().await {
            Ok(Some(frame)) => Input::Frame(frame),
            Ok(None) => Input::Alive,
            Err(error) => Input::Lost(error),
        },
    }
}
