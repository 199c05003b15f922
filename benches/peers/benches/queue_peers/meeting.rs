//! Peers for one producer and one consumer: ipc-channel, and iceoryx2, whose ends are made by the
//! processes that have them and find each other.

use super::super::crew::shared;
use super::Field;
use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use std::cell::OnceCell;
use std::sync::atomic::{AtomicU64, Ordering::*};

type Factory =
    iceoryx2::service::port_factory::publish_subscribe::PortFactory<ipc::Service, [u64], ()>;

/// In the first word of what is sent before both have met.
const GREETING: u64 = u64::MAX;

fn service(capacity: usize, name: &str) -> (Node<ipc::Service>, Factory) {
    let node = NodeBuilder::new().create::<ipc::Service>().unwrap();
    let service = node
        .service_builder(&name.try_into().unwrap())
        .publish_subscribe::<[u64]>()
        .enable_safe_overflow(false)
        .history_size(0)
        .subscriber_max_buffer_size(capacity)
        .max_publishers(1)
        .max_subscribers(1)
        .open_or_create()
        .unwrap();
    (node, service)
}

/// A port, and what it lives in.
struct Port<P> {
    port: P,
    _service: (Node<ipc::Service>, Factory),
}

fn send<const W: usize>(publisher: &Publisher<ipc::Service, [u64], ()>, item: &[u64; W]) -> bool {
    let Ok(sample) = publisher.loan_slice_uninit(W) else { return false };
    sample.write_from_slice(item).send().is_ok_and(|receivers| receivers > 0)
}

impl<const W: usize> Field<W>
where
    [u64; W]: bytemuck::Pod,
{
    pub fn add_meeting(&mut self, capacity: usize) {
        self.add_ipc_channel();
        self.add_iceoryx(capacity);
    }

    fn add_ipc_channel(&mut self) {
        let (sender, receiver) = ipc_channel::ipc::bytes_channel().unwrap();
        let push = move |item: &_| sender.send(bytemuck::bytes_of::<[u64; W]>(item)).is_ok();
        self.add("ipc-channel, bytes", true, 1, push, move |item| {
            let Ok(bytes) = receiver.recv() else { return false };
            bytemuck::bytes_of_mut(item).copy_from_slice(&bytes);
            true
        });
    }

    fn add_iceoryx(&mut self, capacity: usize) {
        let name = format!("shmkit.peer.{}.{W}", std::process::id());
        let other = name.clone();
        // SAFETY: an atomic.
        let met: &'static AtomicU64 = unsafe { shared() };
        let publisher = OnceCell::new();
        let subscriber = OnceCell::new();
        let push = move |item: &[u64; W]| {
            let Port { port, .. } = publisher.get_or_init(|| {
                let service = service(capacity, &name);
                let port: Publisher<ipc::Service, [u64], ()> = service
                    .1
                    .publisher_builder()
                    .initial_max_slice_len(W)
                    .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
                    .create()
                    .unwrap();
                // What is sent before the other is there is lost.
                while met.load(Acquire) == 0 {
                    send(&port, &[GREETING; W]);
                    std::thread::yield_now();
                }
                Port { port, _service: service }
            });
            send(port, item)
        };
        self.add("iceoryx2 publish-subscribe", false, 1, push, move |item| {
            let Port { port, .. } = subscriber.get_or_init(|| {
                let service = service(capacity, &other);
                let port: Subscriber<ipc::Service, [u64], ()> =
                    service.1.subscriber_builder().create().unwrap();
                Port { port, _service: service }
            });
            let Ok(Some(sample)) = port.receive() else { return false };
            if sample.payload()[0] == GREETING {
                met.store(1, Release);
                return false;
            }
            item.copy_from_slice(sample.payload());
            true
        });
    }
}
