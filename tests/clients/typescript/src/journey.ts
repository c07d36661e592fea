// Buys two seats, from the sign-up to the confirmed reservation.

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Client, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { BookingService, ReservationState } from "../gen/encore/booking/v1/booking_pb.js";
import { CatalogService, type Performance } from "../gen/encore/catalog/v1/catalog_pb.js";
import { IdentityService } from "../gen/encore/identity/v1/identity_pb.js";
import { PaymentService } from "../gen/encore/payment/v1/payment_pb.js";
import { EndReason, QueueService } from "../gen/encore/queue/v1/queue_pb.js";
import { WalletService } from "../gen/encore/wallet/v1/wallet_pb.js";
import { ErrorInfoSchema, RetryInfoSchema, type ErrorInfo } from "../gen/google/rpc/error_details_pb.js";

const SEATS = 2;
const STREAMS_MAX = 10;
const ATTEMPTS_MAX = 4;
const DEADLINE_MS = 20_000;

/** The tokens that every call carries once they are known. */
const tokens: { access?: string; queue?: string } = {};

const authorize: Interceptor = (next) => (request) => {
  if (tokens.access !== undefined) request.header.set("authorization", `Bearer ${tokens.access}`);
  if (tokens.queue !== undefined) request.header.set("queue-token", tokens.queue);
  return next(request);
};

/** Repeats unary calls that the server could not answer. Every request here has a `request_id` or changes nothing. */
const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      const wait = request.stream || attempt === ATTEMPTS_MAX ? undefined : retryAfterMs(error);
      if (wait === undefined) throw error;
      await sleep(wait);
    }
  }
};

const baseUrl = `http://${process.env["ENCORE_ADDRESS"] ?? "127.0.0.1:50051"}`;
const sessionManager = new Http2SessionManager(baseUrl);
const transport = createGrpcTransport({
  baseUrl,
  sessionManager,
  interceptors: [authorize, retry],
});
const identity = createClient(IdentityService, transport);
const catalog = createClient(CatalogService, transport);
const queue = createClient(QueueService, transport);
const booking = createClient(BookingService, transport);
const payments = createClient(PaymentService, transport);
const wallet = createClient(WalletService, transport);
const unary = { timeoutMs: DEADLINE_MS };

// Sign up and log in.
const credentials = { email: `typescript-${randomUUID()}@example.com`, password: "correct horse" };
await identity.signUp({ requestId: randomUUID(), displayName: "TypeScript", ...credentials }, unary);
const login = await identity.logIn(credentials, unary);
tokens.access = login.accessToken;
console.log(`logged in as ${login.user?.email}`);

// Find a performance that is on sale.
const performance = await findPerformance(catalog);
const { performanceId } = performance;
console.log(`performance ${performanceId}: ${performance.seatsLeft} seats left`);

// Join the queue and wait to be admitted.
const joined = await queue.joinQueue({ requestId: randomUUID(), performanceId }, unary);
tokens.queue = await waitUntilAdmitted(queue, joined.queueToken);

// Hold the best available seats.
const { reservation: held } = await booking.holdSeats(
  { requestId: randomUUID(), performanceId, bestAvailable: { count: SEATS } },
  unary,
);
if (held?.total === undefined) throw new Error("a hold has a total");
const seats = held.seats.map((seat) => `${seat.section} ${seat.label}`).join(", ");
console.log(`held ${seats} for ${held.total.amountMinor} ${held.total.currencyCode} (minor units)`);

// The wallet is empty, so the payment is refused. The reason is in the ErrorInfo of the status.
const pay = { requestId: randomUUID(), reservationId: held.reservationId };
let missing = 0n;
try {
  await payments.payReservation(pay, unary);
  throw new Error("an empty wallet has paid");
} catch (error) {
  const info = errorInfo(error);
  if (info?.reason !== "INSUFFICIENT_BALANCE") throw error;
  console.log(`refused: ${info.reason} ${JSON.stringify(info.metadata)}`);
  missing = BigInt(info.metadata["needed_minor"] ?? 0) - BigInt(info.metadata["balance_minor"] ?? 0);
}

// Top up what is missing and pay. The request ID is the same: the refused call has had no effect.
const { currencyCode } = held.total;
await wallet.topUp({ requestId: randomUUID(), amount: { amountMinor: missing, currencyCode } }, unary);
const { payment } = await payments.payReservation(pay, unary);
console.log(`paid: ${payment?.paymentId}`);

// Read the reservation.
const { reservation: paid } = await booking.getReservation({ reservationId: held.reservationId }, unary);
if (paid?.state !== ReservationState.CONFIRMED) throw new Error(`the reservation is ${paid?.state}`);
console.log(`reservation ${paid.reservationId} is confirmed`);

// An open connection would keep the process alive.
sessionManager.abort();

async function findPerformance(catalog: Client<typeof CatalogService>): Promise<Performance> {
  const now = Date.now();
  const { concerts } = await catalog.listConcerts({}, unary);
  for (const { concertId } of concerts) {
    const { performances } = await catalog.listPerformances({ concertId }, unary);
    for (const performance of performances) {
      const { onSaleOpensAt: opens, onSaleClosesAt: closes } = performance;
      const onSale = opens && closes && timestampMs(opens) <= now && now < timestampMs(closes);
      if (onSale && performance.hasQueue && performance.seatsLeft >= SEATS) return performance;
    }
  }
  throw new Error("no performance with a queue is on sale");
}

/** Returns the token that says that the fan was admitted. A stream that breaks off is opened again with the same token. */
async function waitUntilAdmitted(queue: Client<typeof QueueService>, queueToken: string): Promise<string> {
  for (let stream = 0; stream < STREAMS_MAX; stream++) {
    try {
      for await (const frame of queue.watchPosition({ queueToken })) {
        const status = frame.status?.status;
        switch (status?.case) {
          case "preQueued":
            console.log("the queue opens later");
            break;
          case "waiting":
            console.log(`position ${status.value.position}`);
            break;
          case "admitted":
            if (status.value.until) console.log(`admitted until ${timestampDate(status.value.until).toISOString()}`);
            return status.value.queueToken;
          case "ended":
            throw new Error(`the queue token ended: ${EndReason[status.value.reason]}`);
        }
      }
    } catch (error) {
      const wait = retryAfterMs(error);
      if (wait === undefined) throw error;
      await sleep(wait);
    }
  }
  throw new Error(`not admitted after ${STREAMS_MAX} streams`);
}

/** How long to wait before the call is repeated; undefined if it must not be. */
function retryAfterMs(error: unknown): number | undefined {
  if (!(error instanceof ConnectError)) return undefined;
  if (error.code !== Code.Unavailable && error.code !== Code.ResourceExhausted) return undefined;
  const [info] = error.findDetails(RetryInfoSchema);
  const told = info?.retryDelay && Number(info.retryDelay.seconds) * 1000 + info.retryDelay.nanos / 1e6;
  // Clients that were refused together must not come back together.
  return (told ?? 1000) * (1 + Math.random() / 2);
}

function errorInfo(error: unknown): ErrorInfo | undefined {
  return error instanceof ConnectError ? error.findDetails(ErrorInfoSchema)[0] : undefined;
}
