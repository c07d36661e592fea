"""Buys two seats, from the sign-up to the confirmed reservation."""

import os
import pathlib
import sys
import time
import uuid

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "gen"))

from encore.booking.v1 import booking_pb2, booking_pb2_grpc
from encore.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from encore.common.v1 import money_pb2
from encore.identity.v1 import identity_pb2, identity_pb2_grpc
from encore.payment.v1 import payment_pb2, payment_pb2_grpc
from encore.queue.v1 import queue_pb2, queue_pb2_grpc
from encore.wallet.v1 import wallet_pb2, wallet_pb2_grpc

SEATS = 2
STREAMS_MAX = 10
PASSWORD = "correct horse"
# The retries and deadlines of all methods.
SERVICE_CONFIG = os.environ.get("ENCORE_SERVICE_CONFIG", HERE.parents[2] / "docs/api/service-config.json")


def main() -> None:
    address = os.environ.get("ENCORE_ADDRESS", "127.0.0.1:50051")
    options = [("grpc.service_config", pathlib.Path(SERVICE_CONFIG).read_text())]
    with grpc.insecure_channel(address, options) as channel:
        run(channel)


def run(channel: grpc.Channel) -> None:
    # Sign up and log in.
    identity = identity_pb2_grpc.IdentityServiceStub(channel)
    email = f"python-{new_id()}@example.com"
    identity.SignUp(
        identity_pb2.SignUpRequest(request_id=new_id(), email=email, password=PASSWORD, display_name="Python")
    )
    login = identity.LogIn(identity_pb2.LogInRequest(email=email, password=PASSWORD))
    print(f"logged in as {login.user.email}")
    metadata = [("authorization", f"Bearer {login.access_token}")]

    # Find a performance that is on sale.
    performance = find_performance(catalog_pb2_grpc.CatalogServiceStub(channel))
    print(f"performance {performance.performance_id}: {performance.seats_left} seats left")

    # Join the queue and wait to be admitted.
    queue = queue_pb2_grpc.QueueServiceStub(channel)
    joined = queue.JoinQueue(
        queue_pb2.JoinQueueRequest(request_id=new_id(), performance_id=performance.performance_id),
        metadata=metadata,
    )
    metadata.append(("queue-token", wait_until_admitted(queue, joined.queue_token, metadata)))

    # Hold the best available seats.
    booking = booking_pb2_grpc.BookingServiceStub(channel)
    held = booking.HoldSeats(
        booking_pb2.HoldSeatsRequest(
            request_id=new_id(),
            performance_id=performance.performance_id,
            best_available=booking_pb2.BestAvailable(count=SEATS),
        ),
        metadata=metadata,
    ).reservation
    seats = ", ".join(f"{seat.section} {seat.label}" for seat in held.seats)
    print(f"held {seats} for {held.total.amount_minor} {held.total.currency_code} (minor units)")

    # The wallet is empty, so the payment is refused. The reason is in the ErrorInfo of the status.
    payments = payment_pb2_grpc.PaymentServiceStub(channel)
    pay = payment_pb2.PayReservationRequest(request_id=new_id(), reservation_id=held.reservation_id)
    try:
        payments.PayReservation(pay, metadata=metadata)
        raise RuntimeError("an empty wallet has paid")
    except grpc.RpcError as error:
        info = error_info(error)
        if info is None or info.reason != "INSUFFICIENT_BALANCE":
            raise
        print(f"refused: {info.reason} {dict(info.metadata)}")
        missing = int(info.metadata["needed_minor"]) - int(info.metadata["balance_minor"])

    # Top up what is missing and pay. The request ID is the same: the refused call has had no effect.
    wallet = wallet_pb2_grpc.WalletServiceStub(channel)
    amount = money_pb2.Money(amount_minor=missing, currency_code=held.total.currency_code)
    wallet.TopUp(wallet_pb2.TopUpRequest(request_id=new_id(), amount=amount), metadata=metadata)
    payment = payments.PayReservation(pay, metadata=metadata).payment
    print(f"paid: {payment.payment_id}")

    # Read the reservation.
    read = booking_pb2.GetReservationRequest(reservation_id=held.reservation_id)
    paid = booking.GetReservation(read, metadata=metadata).reservation
    if paid.state != booking_pb2.RESERVATION_STATE_CONFIRMED:
        raise RuntimeError(f"the reservation is {booking_pb2.ReservationState.Name(paid.state)}")
    print(f"reservation {paid.reservation_id} is confirmed")


def find_performance(catalog: catalog_pb2_grpc.CatalogServiceStub) -> catalog_pb2.Performance:
    now = time.time()
    for concert in catalog.ListConcerts(catalog_pb2.ListConcertsRequest()).concerts:
        request = catalog_pb2.ListPerformancesRequest(concert_id=concert.concert_id)
        for performance in catalog.ListPerformances(request).performances:
            opens, closes = performance.on_sale_opens_at, performance.on_sale_closes_at
            on_sale = opens.seconds <= now < closes.seconds
            if on_sale and performance.has_queue and performance.seats_left >= SEATS:
                return performance
    raise RuntimeError("no performance with a queue is on sale")


def wait_until_admitted(queue: queue_pb2_grpc.QueueServiceStub, queue_token: str, metadata: list) -> str:
    """Returns the token that says that the fan was admitted.

    A stream that breaks off is opened again with the same token.
    """
    request = queue_pb2.WatchPositionRequest(queue_token=queue_token)
    for _ in range(STREAMS_MAX):
        frames = queue.WatchPosition(request, metadata=metadata)
        try:
            for frame in frames:
                match frame.status.WhichOneof("status"):
                    case "pre_queued":
                        print("the queue opens later")
                    case "waiting":
                        print(f"position {frame.status.waiting.position}")
                    case "admitted":
                        print(f"admitted until {frame.status.admitted.until.ToJsonString()}")
                        return frame.status.admitted.queue_token
                    case "ended":
                        reason = queue_pb2.EndReason.Name(frame.status.ended.reason)
                        raise RuntimeError(f"the queue token ended: {reason}")
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
            time.sleep(1)
        finally:
            frames.cancel()
    raise RuntimeError(f"not admitted after {STREAMS_MAX} streams")


def error_info(error: grpc.RpcError) -> error_details_pb2.ErrorInfo | None:
    status = rpc_status.from_call(error)
    for detail in status.details if status else ():
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return info
    return None


def new_id() -> str:
    return str(uuid.uuid4())


if __name__ == "__main__":
    main()
