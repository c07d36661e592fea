//! The contract of the port on the sandbox, which captures apart or at once.
#![expect(clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use encore_domain::payment::gateway::MethodToken;
use encore_payment_gateway::{APPROVE, DECLINE, NEEDS_ACTION, SandboxGateway};
use encore_port_tests::payment_gateway::GatewayBench;

fn bench(gateway: SandboxGateway) -> GatewayBench {
    let token = |text| MethodToken::parse(text).expect("a token");
    let [good, bad, acting] = [APPROVE, DECLINE, NEEDS_ACTION].map(token);
    GatewayBench { gateway: Arc::new(gateway), good, bad, acting }
}

mod apart {
    use super::{GatewayBench, SandboxGateway};

    async fn sandbox() -> GatewayBench {
        super::bench(SandboxGateway::default())
    }

    encore_port_tests::payment_gateway!(sandbox);
}

mod at_once {
    use super::{GatewayBench, SandboxGateway};

    async fn sandbox() -> GatewayBench {
        super::bench(SandboxGateway::capturing_at_once())
    }

    encore_port_tests::payment_gateway!(sandbox);
}
