package example;

import com.google.gson.Gson;
import com.google.gson.reflect.TypeToken;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.util.Timestamps;
import com.google.rpc.ErrorInfo;
import encore.booking.v1.BestAvailable;
import encore.booking.v1.BookingServiceGrpc;
import encore.booking.v1.GetReservationRequest;
import encore.booking.v1.HoldSeatsRequest;
import encore.booking.v1.Reservation;
import encore.booking.v1.ReservationState;
import encore.catalog.v1.CatalogServiceGrpc;
import encore.catalog.v1.ListConcertsRequest;
import encore.catalog.v1.ListPerformancesRequest;
import encore.catalog.v1.Performance;
import encore.common.v1.Money;
import encore.identity.v1.IdentityServiceGrpc;
import encore.identity.v1.LogInRequest;
import encore.identity.v1.SignUpRequest;
import encore.payment.v1.PayReservationRequest;
import encore.payment.v1.PaymentServiceGrpc;
import encore.queue.v1.JoinQueueRequest;
import encore.queue.v1.QueueServiceGrpc;
import encore.queue.v1.QueueStatus;
import encore.queue.v1.WatchPositionRequest;
import encore.wallet.v1.TopUpRequest;
import encore.wallet.v1.WalletServiceGrpc;
import io.grpc.Channel;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;

/** Buys two seats, from the sign-up to the confirmed reservation. */
public final class Journey {
  private static final int SEATS = 2;
  private static final int STREAMS_MAX = 10;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> QUEUE_TOKEN =
      Metadata.Key.of("queue-token", Metadata.ASCII_STRING_MARSHALLER);

  public static void main(String[] args) throws Exception {
    String address = System.getenv().getOrDefault("ENCORE_ADDRESS", "127.0.0.1:50051");
    Path serviceConfig = Path.of(System.getenv().getOrDefault("ENCORE_SERVICE_CONFIG", "../../../docs/api/service-config.json"));
    ManagedChannel channel =
        Grpc.newChannelBuilder(address, InsecureChannelCredentials.create())
            .defaultServiceConfig(read(serviceConfig))
            .build();
    try {
      run(channel);
    } finally {
      channel.shutdown().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private static void run(Channel channel) throws Exception {
    // Sign up and log in.
    var identity = IdentityServiceGrpc.newBlockingStub(channel);
    String email = "java-" + UUID.randomUUID() + "@example.com";
    identity.signUp(
        SignUpRequest.newBuilder()
            .setRequestId(newId())
            .setEmail(email)
            .setPassword("correct horse")
            .setDisplayName("Java")
            .build());
    var login =
        identity.logIn(LogInRequest.newBuilder().setEmail(email).setPassword("correct horse").build());
    System.out.println("logged in as " + login.getUser().getEmail());
    Channel authorized = ClientInterceptors.intercept(channel, with(AUTHORIZATION, "Bearer " + login.getAccessToken()));

    // Find a performance that is on sale.
    Performance performance = findPerformance(CatalogServiceGrpc.newBlockingStub(channel));
    System.out.println("performance " + performance.getPerformanceId() + ": " + performance.getSeatsLeft() + " seats left");

    // Join the queue and wait to be admitted.
    var queue = QueueServiceGrpc.newBlockingStub(authorized);
    var joined =
        queue.joinQueue(
            JoinQueueRequest.newBuilder()
                .setRequestId(newId())
                .setPerformanceId(performance.getPerformanceId())
                .build());
    String queueToken = waitUntilAdmitted(queue, joined.getQueueToken());
    Channel admitted = ClientInterceptors.intercept(authorized, with(QUEUE_TOKEN, queueToken));

    // Hold the best available seats.
    var booking = BookingServiceGrpc.newBlockingStub(admitted);
    Reservation held =
        booking
            .holdSeats(
                HoldSeatsRequest.newBuilder()
                    .setRequestId(newId())
                    .setPerformanceId(performance.getPerformanceId())
                    .setBestAvailable(BestAvailable.newBuilder().setCount(SEATS))
                    .build())
            .getReservation();
    Money total = held.getTotal();
    System.out.println(
        "held " + held.getSeatsList().stream().map(seat -> seat.getSection() + " " + seat.getLabel()).toList()
            + " for " + total.getAmountMinor() + " " + total.getCurrencyCode() + " (minor units)");

    // The wallet is empty, so the payment is refused. The reason is in the ErrorInfo of the status.
    var payments = PaymentServiceGrpc.newBlockingStub(admitted);
    var pay =
        PayReservationRequest.newBuilder().setRequestId(newId()).setReservationId(held.getReservationId()).build();
    long missing = missingAmount(payments, pay);

    // Top up what is missing and pay. The request ID is the same: the refused call has had no effect.
    WalletServiceGrpc.newBlockingStub(authorized)
        .topUp(
            TopUpRequest.newBuilder()
                .setRequestId(newId())
                .setAmount(Money.newBuilder().setAmountMinor(missing).setCurrencyCode(total.getCurrencyCode()))
                .build());
    var payment = payments.payReservation(pay).getPayment();
    System.out.println("paid: " + payment.getPaymentId());

    // Read the reservation.
    Reservation paid =
        booking
            .getReservation(GetReservationRequest.newBuilder().setReservationId(held.getReservationId()).build())
            .getReservation();
    if (paid.getState() != ReservationState.RESERVATION_STATE_CONFIRMED) {
      throw new IllegalStateException("the reservation is " + paid.getState());
    }
    System.out.println("reservation " + paid.getReservationId() + " is confirmed");
  }

  private static Performance findPerformance(CatalogServiceGrpc.CatalogServiceBlockingStub catalog) {
    long now = System.currentTimeMillis();
    for (var concert : catalog.listConcerts(ListConcertsRequest.getDefaultInstance()).getConcertsList()) {
      var request = ListPerformancesRequest.newBuilder().setConcertId(concert.getConcertId()).build();
      for (var performance : catalog.listPerformances(request).getPerformancesList()) {
        boolean onSale =
            Timestamps.toMillis(performance.getOnSaleOpensAt()) <= now
                && now < Timestamps.toMillis(performance.getOnSaleClosesAt());
        if (onSale && performance.getHasQueue() && performance.getSeatsLeft() >= SEATS) {
          return performance;
        }
      }
    }
    throw new IllegalStateException("no performance with a queue is on sale");
  }

  /** Returns the token that says that the fan was admitted. A stream that breaks off is opened again with the same token. */
  private static String waitUntilAdmitted(QueueServiceGrpc.QueueServiceBlockingStub queue, String queueToken)
      throws InterruptedException {
    var request = WatchPositionRequest.newBuilder().setQueueToken(queueToken).build();
    for (int stream = 0; stream < STREAMS_MAX; stream++) {
      try {
        var frames = queue.watchPosition(request);
        while (frames.hasNext()) {
          QueueStatus status = frames.next().getStatus();
          switch (status.getStatusCase()) {
            case PRE_QUEUED -> System.out.println("the queue opens later");
            case WAITING -> System.out.println("position " + status.getWaiting().getPosition());
            case ADMITTED -> {
              System.out.println("admitted until " + Timestamps.toString(status.getAdmitted().getUntil()));
              return status.getAdmitted().getQueueToken();
            }
            case ENDED -> throw new IllegalStateException("the queue token ended: " + status.getEnded().getReason());
            case STATUS_NOT_SET -> { }
          }
        }
      } catch (StatusRuntimeException error) {
        if (error.getStatus().getCode() != Status.Code.UNAVAILABLE) {
          throw error;
        }
        Thread.sleep(1000);
      }
    }
    throw new IllegalStateException("not admitted after " + STREAMS_MAX + " streams");
  }

  private static long missingAmount(PaymentServiceGrpc.PaymentServiceBlockingStub payments, PayReservationRequest pay)
      throws InvalidProtocolBufferException {
    try {
      payments.payReservation(pay);
      throw new IllegalStateException("an empty wallet has paid");
    } catch (StatusRuntimeException error) {
      ErrorInfo info = errorInfo(error);
      System.out.println("refused: " + info.getReason() + " " + new java.util.TreeMap<>(info.getMetadataMap()));
      if (!info.getReason().equals("INSUFFICIENT_BALANCE")) {
        throw error;
      }
      return Long.parseLong(info.getMetadataOrThrow("needed_minor")) - Long.parseLong(info.getMetadataOrThrow("balance_minor"));
    }
  }

  private static ErrorInfo errorInfo(StatusRuntimeException error) throws InvalidProtocolBufferException {
    var status = StatusProto.fromThrowable(error);
    if (status != null) {
      for (Any detail : status.getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          return detail.unpack(ErrorInfo.class);
        }
      }
    }
    throw error;
  }

  private static ClientInterceptor with(Metadata.Key<String> key, String value) {
    Metadata metadata = new Metadata();
    metadata.put(key, value);
    return MetadataUtils.newAttachHeadersInterceptor(metadata);
  }

  private static Map<String, ?> read(Path serviceConfig) throws IOException {
    return new Gson().fromJson(Files.readString(serviceConfig), new TypeToken<Map<String, Object>>() {}.getType());
  }

  private static String newId() {
    return UUID.randomUUID().toString();
  }

  private Journey() {}
}
