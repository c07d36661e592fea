// Command journey buys two seats, from the sign-up to the confirmed reservation.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	bookingv1 "encore.test/clients/go/gen/encore/booking/v1"
	catalogv1 "encore.test/clients/go/gen/encore/catalog/v1"
	commonv1 "encore.test/clients/go/gen/encore/common/v1"
	identityv1 "encore.test/clients/go/gen/encore/identity/v1"
	paymentv1 "encore.test/clients/go/gen/encore/payment/v1"
	queuev1 "encore.test/clients/go/gen/encore/queue/v1"
	walletv1 "encore.test/clients/go/gen/encore/wallet/v1"
)

const (
	seats      = 2
	streamsMax = 10
	password   = "correct horse"
)

func main() {
	log.SetFlags(0)
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	// The service config has the retries and deadlines of all methods.
	serviceConfig, err := os.ReadFile(env("ENCORE_SERVICE_CONFIG", "../../../docs/api/service-config.json"))
	if err != nil {
		return err
	}
	conn, err := grpc.NewClient(
		env("ENCORE_ADDRESS", "127.0.0.1:50051"),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(string(serviceConfig)),
	)
	if err != nil {
		return err
	}
	defer conn.Close()

	// Sign up and log in.
	identity := identityv1.NewIdentityServiceClient(conn)
	email := "go-" + uuid.NewString() + "@example.com"
	_, err = identity.SignUp(ctx, &identityv1.SignUpRequest{
		RequestId: uuid.NewString(), Email: email, Password: password, DisplayName: "Go",
	})
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	login, err := identity.LogIn(ctx, &identityv1.LogInRequest{Email: email, Password: password})
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	fmt.Println("logged in as", login.User.Email)
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+login.AccessToken)

	// Find a performance that is on sale.
	performance, err := findPerformance(ctx, catalogv1.NewCatalogServiceClient(conn))
	if err != nil {
		return fmt.Errorf("find a performance: %w", err)
	}
	fmt.Printf("performance %s: %d seats left\n", performance.PerformanceId, performance.SeatsLeft)

	// Join the queue and wait to be admitted.
	queue := queuev1.NewQueueServiceClient(conn)
	joined, err := queue.JoinQueue(ctx, &queuev1.JoinQueueRequest{
		RequestId: uuid.NewString(), PerformanceId: performance.PerformanceId,
	})
	if err != nil {
		return fmt.Errorf("join the queue: %w", err)
	}
	queueToken, err := waitUntilAdmitted(ctx, queue, joined.QueueToken)
	if err != nil {
		return fmt.Errorf("wait: %w", err)
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "queue-token", queueToken)

	// Hold the best available seats.
	booking := bookingv1.NewBookingServiceClient(conn)
	hold, err := booking.HoldSeats(ctx, &bookingv1.HoldSeatsRequest{
		RequestId:     uuid.NewString(),
		PerformanceId: performance.PerformanceId,
		BestAvailable: &bookingv1.BestAvailable{Count: seats},
	})
	if err != nil {
		return fmt.Errorf("hold seats: %w", err)
	}
	held := hold.Reservation
	for _, seat := range held.Seats {
		fmt.Println("held", seat.Section, seat.Label)
	}
	fmt.Println("total", held.Total.AmountMinor, held.Total.CurrencyCode, "(minor units)")

	// The wallet is empty, so the payment is refused. The reason is in the ErrorInfo of the status.
	payments := paymentv1.NewPaymentServiceClient(conn)
	pay := &paymentv1.PayReservationRequest{RequestId: uuid.NewString(), ReservationId: held.ReservationId}
	_, err = payments.PayReservation(ctx, pay)
	info := errorInfo(err)
	if info.GetReason() != "INSUFFICIENT_BALANCE" {
		return fmt.Errorf("an empty wallet paid: %w", err)
	}
	fmt.Println("refused:", info.Reason, info.Metadata)
	missing, err := missingAmount(info)
	if err != nil {
		return err
	}

	// Top up what is missing and pay. The request ID is the same: the refused call has had no effect.
	_, err = walletv1.NewWalletServiceClient(conn).TopUp(ctx, &walletv1.TopUpRequest{
		RequestId: uuid.NewString(),
		Amount:    &commonv1.Money{AmountMinor: missing, CurrencyCode: held.Total.CurrencyCode},
	})
	if err != nil {
		return fmt.Errorf("top up: %w", err)
	}
	paid, err := payments.PayReservation(ctx, pay)
	if err != nil {
		return fmt.Errorf("pay: %w", err)
	}
	fmt.Println("paid:", paid.Payment.PaymentId)

	// Read the reservation.
	read, err := booking.GetReservation(ctx, &bookingv1.GetReservationRequest{ReservationId: held.ReservationId})
	if err != nil {
		return fmt.Errorf("read the reservation: %w", err)
	}
	if read.Reservation.State != bookingv1.ReservationState_RESERVATION_STATE_CONFIRMED {
		return fmt.Errorf("the reservation is %s", read.Reservation.State)
	}
	fmt.Println("reservation", read.Reservation.ReservationId, "is confirmed")
	return nil
}

func findPerformance(ctx context.Context, catalog catalogv1.CatalogServiceClient) (*catalogv1.Performance, error) {
	now := time.Now()
	concerts, err := catalog.ListConcerts(ctx, &catalogv1.ListConcertsRequest{})
	if err != nil {
		return nil, err
	}
	for _, concert := range concerts.Concerts {
		listed, err := catalog.ListPerformances(ctx, &catalogv1.ListPerformancesRequest{ConcertId: concert.ConcertId})
		if err != nil {
			return nil, err
		}
		for _, performance := range listed.Performances {
			onSale := !now.Before(performance.OnSaleOpensAt.AsTime()) && now.Before(performance.OnSaleClosesAt.AsTime())
			if onSale && performance.HasQueue && performance.SeatsLeft >= seats {
				return performance, nil
			}
		}
	}
	return nil, errors.New("no performance with a queue is on sale")
}

// waitUntilAdmitted returns the token that says that the fan was admitted. A stream that breaks off is opened again with the
// same token.
func waitUntilAdmitted(ctx context.Context, queue queuev1.QueueServiceClient, queueToken string) (string, error) {
	for range streamsMax {
		admitted, err := watch(ctx, queue, queueToken)
		if status.Code(err) != codes.Unavailable {
			return admitted, err
		}
		time.Sleep(time.Second)
	}
	return "", fmt.Errorf("not admitted after %d streams", streamsMax)
}

func watch(ctx context.Context, queue queuev1.QueueServiceClient, queueToken string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	frames, err := queue.WatchPosition(ctx, &queuev1.WatchPositionRequest{QueueToken: queueToken})
	if err != nil {
		return "", err
	}
	for {
		frame, err := frames.Recv()
		if errors.Is(err, io.EOF) {
			return "", status.Error(codes.Unavailable, "the stream ended")
		}
		if err != nil {
			return "", err
		}
		switch queueStatus := frame.Status.Status.(type) {
		case *queuev1.QueueStatus_PreQueued:
			fmt.Println("the queue opens later")
		case *queuev1.QueueStatus_Waiting:
			fmt.Println("position", queueStatus.Waiting.Position)
		case *queuev1.QueueStatus_Admitted:
			fmt.Println("admitted until", queueStatus.Admitted.Until.AsTime())
			return queueStatus.Admitted.QueueToken, nil
		case *queuev1.QueueStatus_Ended:
			return "", fmt.Errorf("the queue token ended: %s", queueStatus.Ended.Reason)
		}
	}
}

func errorInfo(err error) *errdetails.ErrorInfo {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			return info
		}
	}
	return nil
}

func missingAmount(info *errdetails.ErrorInfo) (int64, error) {
	needed, err := strconv.ParseInt(info.Metadata["needed_minor"], 10, 64)
	if err != nil {
		return 0, err
	}
	balance, err := strconv.ParseInt(info.Metadata["balance_minor"], 10, 64)
	return needed - balance, err
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
