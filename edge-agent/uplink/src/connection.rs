//! One connection to a broker, MQTT 5 or 3.1.1, without what differs.
//!
//! A client of the library lives for one connection only. It forgets in-flight
//! messages when a broker lost the session, and can stop publishing for good
//! after a packet-id collision; neither matters to something that is thrown
//! away at the first fault and whose messages are all in the outbox.

use std::io::ErrorKind;
use std::sync::Arc;

use protocol::envelope::MAX_ENVELOPE_BYTES;
use rumqttc::{TlsConfiguration, Transport, v5};
use rustls::ClientConfig;

use crate::settings::{Broker, UplinkSettings};
use crate::trust::is_of_old_tls;

/// Publishes that the broker has not acknowledged, at most.
const IN_FLIGHT: u16 = 64;
/// Requests that wait for the client, at most.
const QUEUE: usize = 64;
/// Largest incoming message: a receipt or a signal.
const LARGEST_INCOMING: u32 = 64 * 1024;
/// Header and topic around the largest envelope.
const LARGEST_OUTGOING: usize = MAX_ENVELOPE_BYTES + 1024;

/// Which MQTT is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    V5,
    V311,
}

impl Version {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::V5 => "5",
            Self::V311 => "3.1.1",
        }
    }
}

/// What came from the broker.
#[derive(Debug)]
pub(crate) enum Happening {
    /// It accepted the connection; the largest packet that it takes, if it said so.
    Connected { largest: Option<u32> },
    /// It took a publish.
    Acknowledged,
    /// It took a publish and says it will not pass it on.
    NotTaken { reason: String },
    /// It answered a subscription; whether each filter was granted.
    Subscribed { granted: Vec<bool> },
    /// A message.
    Message {
        topic: String,
        payload: Vec<u8>,
        /// Whether the broker had kept it.
        is_retained: bool,
    },
    /// Something of no interest.
    Other,
}

/// Why there is no connection (any more), and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) kind: FailureKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// Perhaps it does not speak this version.
    PerhapsVersion,
    /// Perhaps that, perhaps the network: nothing came, or the line was cut.
    NoAnswer,
    /// It will not let us in until somebody changes something.
    Refused,
    /// Another client came with our name and ended our connection.
    TakenOver,
    /// Anything that may pass.
    Passing,
}

impl Failure {
    pub(crate) fn passing(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: FailureKind::Passing,
        }
    }

    fn refused(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            kind: FailureKind::Refused,
        }
    }
}

/// Publishes and subscribes; never waits.
pub(crate) enum Client {
    V5(v5::AsyncClient),
    V311(rumqttc::AsyncClient),
}

/// Whether the broker keeps a message for who subscribes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retained {
    /// Only who listens hears it.
    No,
    /// The last one of a topic; with `expiry_s` a broker of MQTT 5 forgets it after so long.
    Yes { expiry_s: Option<u32> },
}

/// The client's queue is full; try again after an acknowledgement.
#[derive(Debug)]
pub(crate) struct Busy;

impl Client {
    pub(crate) fn publish(
        &self,
        topic: &str,
        retained: Retained,
        payload: &[u8],
    ) -> Result<(), Busy> {
        let (retain, expiry) = match retained {
            Retained::No => (false, None),
            Retained::Yes { expiry_s } => (true, expiry_s),
        };
        match self {
            Self::V5(client) => client
                .try_publish_with_properties(
                    topic,
                    v5::mqttbytes::QoS::AtLeastOnce,
                    retain,
                    payload.to_vec(),
                    v5::mqttbytes::v5::PublishProperties {
                        message_expiry_interval: expiry,
                        ..Default::default()
                    },
                )
                .map_err(|_| Busy),
            Self::V311(client) => client
                .try_publish(topic, rumqttc::QoS::AtLeastOnce, retain, payload)
                .map_err(|_| Busy),
        }
    }

    pub(crate) fn subscribe(&self, topic: &str) -> Result<(), Busy> {
        match self {
            Self::V5(client) => client
                .try_subscribe(topic, v5::mqttbytes::QoS::AtLeastOnce)
                .map_err(|_| Busy),
            Self::V311(client) => client
                .try_subscribe(topic, rumqttc::QoS::AtLeastOnce)
                .map_err(|_| Busy),
        }
    }

    pub(crate) fn disconnect(&self) -> Result<(), Busy> {
        match self {
            Self::V5(client) => client.try_disconnect().map_err(|_| Busy),
            Self::V311(client) => client.try_disconnect().map_err(|_| Busy),
        }
    }
}

/// The receiving side.
pub(crate) enum Events {
    V5(Box<v5::EventLoop>),
    V311(Box<rumqttc::EventLoop>),
}

/// As whom, and what to say when we vanish.
pub(crate) struct Hello<'a> {
    pub(crate) settings: &'a UplinkSettings,
    pub(crate) broker: &'a Broker,
    pub(crate) tls: Option<Arc<ClientConfig>>,
    pub(crate) client_id: String,
    /// Topic and payload, retained.
    pub(crate) will: Option<(String, Vec<u8>)>,
}

/// A client of `version`; it connects when its events are first asked for.
pub(crate) fn open(version: Version, hello: Hello<'_>) -> (Client, Events) {
    let Hello {
        settings,
        broker,
        tls,
        client_id,
        will,
    } = hello;
    let transport = tls.map_or_else(Transport::tcp, |config| {
        Transport::tls_with_config(TlsConfiguration::Rustls(config))
    });
    let keep_alive = settings
        .pace
        .keep_alive
        .max(std::time::Duration::from_secs(5));
    let patience = settings.pace.connect.as_secs().max(1);
    let credentials = settings
        .user
        .clone()
        .map(|user| (user, settings.password.clone().unwrap_or_default()));
    match version {
        Version::V5 => {
            let mut options = v5::MqttOptions::new(client_id, &broker.host, broker.port);
            options
                .set_transport(transport)
                .set_keep_alive(keep_alive)
                .set_clean_start(true)
                .set_connection_timeout(patience)
                .set_max_packet_size(Some(LARGEST_INCOMING))
                .set_outgoing_inflight_upper_limit(IN_FLIGHT);
            if let Some((user, password)) = credentials {
                options.set_credentials(user, password);
            }
            if let Some((topic, payload)) = will {
                options.set_last_will(v5::mqttbytes::v5::LastWill::new(
                    topic,
                    payload,
                    v5::mqttbytes::QoS::AtLeastOnce,
                    true,
                    None,
                ));
            }
            let (client, events) = v5::AsyncClient::new(options, QUEUE);
            (Client::V5(client), Events::V5(Box::new(events)))
        }
        Version::V311 => {
            let mut options = rumqttc::MqttOptions::new(client_id, &broker.host, broker.port);
            options
                .set_transport(transport)
                .set_keep_alive(keep_alive)
                .set_clean_session(true)
                .set_max_packet_size(LARGEST_INCOMING as usize, LARGEST_OUTGOING)
                .set_inflight(IN_FLIGHT);
            if let Some((user, password)) = credentials {
                options.set_credentials(user, password);
            }
            if let Some((topic, payload)) = will {
                options.set_last_will(rumqttc::LastWill::new(
                    topic,
                    payload,
                    rumqttc::QoS::AtLeastOnce,
                    true,
                ));
            }
            let (client, mut events) = rumqttc::AsyncClient::new(options, QUEUE);
            let mut network = events.network_options();
            network.set_connection_timeout(patience);
            events.set_network_options(network);
            (Client::V311(client), Events::V311(Box::new(events)))
        }
    }
}

impl Events {
    /// The next thing from the broker. Not to be cancelled and called again:
    /// drop the whole connection instead.
    pub(crate) async fn next(&mut self) -> Result<Happening, Failure> {
        match self {
            Self::V5(events) => match events.poll().await {
                Ok(v5::Event::Incoming(packet)) => Ok(from_v5(packet)),
                Ok(v5::Event::Outgoing(_)) => Ok(Happening::Other),
                Err(error) => Err(failure_v5(error)),
            },
            Self::V311(events) => match events.poll().await {
                Ok(rumqttc::Event::Incoming(packet)) => Ok(from_v311(packet)),
                Ok(rumqttc::Event::Outgoing(_)) => Ok(Happening::Other),
                Err(error) => Err(failure_v311(error)),
            },
        }
    }
}

fn from_v5(packet: v5::mqttbytes::v5::Packet) -> Happening {
    use v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
    match packet {
        Packet::ConnAck(ack) => Happening::Connected {
            largest: ack.properties.and_then(|p| p.max_packet_size),
        },
        Packet::PubAck(ack) => match ack.reason {
            // Nobody listens: the centre is away. Its receipt will tell.
            PubAckReason::Success | PubAckReason::NoMatchingSubscribers => Happening::Acknowledged,
            reason => Happening::NotTaken {
                reason: format!("{reason:?}"),
            },
        },
        Packet::SubAck(ack) => Happening::Subscribed {
            granted: ack
                .return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect(),
        },
        Packet::Publish(publish) => Happening::Message {
            topic: String::from_utf8_lossy(&publish.topic).into_owned(),
            payload: publish.payload.to_vec(),
            is_retained: publish.retain,
        },
        _ => Happening::Other,
    }
}

fn from_v311(packet: rumqttc::Packet) -> Happening {
    use rumqttc::{Packet, SubscribeReasonCode};
    match packet {
        Packet::ConnAck(_) => Happening::Connected { largest: None },
        Packet::PubAck(_) => Happening::Acknowledged,
        Packet::SubAck(ack) => Happening::Subscribed {
            granted: ack
                .return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect(),
        },
        Packet::Publish(publish) => Happening::Message {
            topic: publish.topic,
            payload: publish.payload.to_vec(),
            is_retained: publish.retain,
        },
        _ => Happening::Other,
    }
}

const BAD_LOGIN: &str =
    "user or password refused; correct `user` and `password`, or add them at the broker";
const NOT_ALLOWED: &str =
    "this box may not connect; add its user or certificate to the broker's access list";

/// What the centre's front door says to a second agent.
const SECOND: &str = "another agent with this box's id is connected, so this one is refused; \
     give each box its own `box` id, or stop the other one";

fn failure_v5(error: v5::ConnectionError) -> Failure {
    use v5::mqttbytes::v5::{ConnectReturnCode as Code, DisconnectReasonCode as Bye};
    use v5::{ConnectionError as E, StateError};
    match error {
        E::ConnectionRefused(code) => match code {
            Code::UnsupportedProtocolVersion | Code::RefusedProtocolVersion => Failure {
                reason: "it does not speak MQTT 5; trying 3.1.1".to_owned(),
                kind: FailureKind::PerhapsVersion,
            },
            Code::BadUserNamePassword => Failure::refused(BAD_LOGIN),
            Code::NotAuthorized | Code::Banned | Code::BadAuthenticationMethod => {
                Failure::refused(NOT_ALLOWED)
            }
            Code::ClientIdentifierNotValid => Failure::refused(SECOND),
            code => Failure::passing(format!(
                "it answered {code:?} to the connection; see the broker's log"
            )),
        },
        E::Io(error)
        | E::MqttState(
            StateError::Io(error) | StateError::Deserialization(v5::mqttbytes::Error::Io(error)),
        ) => of_io(&error),
        E::Tls(error) => of_tls(&error),
        E::Timeout(_) => Failure {
            reason:
                "no answer in time; check the address, the network and that it is an MQTT broker"
                    .to_owned(),
            kind: FailureKind::NoAnswer,
        },
        E::MqttState(StateError::ServerDisconnect {
            reason_code: Bye::SessionTakenOver,
            ..
        }) => Failure {
            reason: "another client connected with this box's name; give each box its own `box` id"
                .to_owned(),
            kind: FailureKind::TakenOver,
        },
        E::MqttState(StateError::ServerDisconnect {
            reason_code: Bye::NotAuthorized,
            ..
        }) => Failure::refused(NOT_ALLOWED),
        E::MqttState(StateError::ServerDisconnect { reason_code, .. }) => Failure::passing(
            format!("it ended the connection: {reason_code:?}; see the broker's log"),
        ),
        other => of_protocol(&other),
    }
}

fn failure_v311(error: rumqttc::ConnectionError) -> Failure {
    use rumqttc::ConnectReturnCode as Code;
    use rumqttc::{ConnectionError as E, StateError};
    match error {
        E::ConnectionRefused(Code::RefusedProtocolVersion) => Failure {
            reason: "it does not speak MQTT 3.1.1; trying 5".to_owned(),
            kind: FailureKind::PerhapsVersion,
        },
        E::ConnectionRefused(Code::BadUserNamePassword) => Failure::refused(BAD_LOGIN),
        E::ConnectionRefused(Code::NotAuthorized) => Failure::refused(NOT_ALLOWED),
        E::ConnectionRefused(Code::BadClientId) => Failure::refused(SECOND),
        E::ConnectionRefused(code) => Failure::passing(format!(
            "it answered {code:?} to the connection; see the broker's log"
        )),
        E::Io(error)
        | E::MqttState(
            StateError::Io(error)
            | StateError::Deserialization(rumqttc::mqttbytes::Error::Io(error)),
        ) => of_io(&error),
        E::Tls(error) => of_tls(&error),
        E::NetworkTimeout => Failure {
            reason:
                "no answer in time; check the address, the network and that it is an MQTT broker"
                    .to_owned(),
            kind: FailureKind::NoAnswer,
        },
        other => of_protocol(&other),
    }
}

fn of_protocol(error: &dyn std::fmt::Display) -> Failure {
    Failure {
        reason: format!("{error}; check that it is an MQTT broker"),
        kind: FailureKind::PerhapsVersion,
    }
}

fn of_io(error: &std::io::Error) -> Failure {
    // In TLS 1.3 a refused certificate of ours comes after the handshake.
    let inner = error.get_ref().and_then(|e| e.downcast_ref());
    if let Some(error) = inner {
        return of_handshake(error);
    }
    let advice = match error.kind() {
        ErrorKind::ConnectionRefused => "check that the broker runs and listens on this port",
        ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "check the network between box and broker"
        }
        // A broker that does not know MQTT 5 may simply hang up.
        ErrorKind::ConnectionAborted
        | ErrorKind::ConnectionReset
        | ErrorKind::UnexpectedEof
        | ErrorKind::BrokenPipe
        | ErrorKind::InvalidData => {
            return Failure {
                reason: format!("{error}; the broker hung up, see its log"),
                kind: FailureKind::NoAnswer,
            };
        }
        _ => "check the address",
    };
    Failure::passing(format!("{error}; {advice}"))
}

fn of_tls(error: &rumqttc::TlsError) -> Failure {
    match error {
        rumqttc::TlsError::Io(error) => of_io(error),
        rumqttc::TlsError::TLS(error) => of_handshake(error),
        other => untrusted(other),
    }
}

fn of_handshake(error: &rustls::Error) -> Failure {
    if is_of_old_tls(error) {
        return Failure::refused(format!(
            "tls: {error}; the broker does not take TLS 1.3, which is all that this box speaks: bring the broker up to date, or set `allow_tls12` in [uplink]"
        ));
    }
    untrusted(error)
}

fn untrusted(error: &dyn std::fmt::Display) -> Failure {
    Failure::refused(format!(
        "tls: {error}; check `ca_file`, the name in the broker's certificate, `cert_file` and the box's clock"
    ))
}
