package gate

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"vetting/agent/wire"
	"vetting/core"
)

// malformedError is a body that is not JSON.
type malformedError struct{ err error }

func (e malformedError) Error() string { return "reading JSON: " + e.err.Error() }
func (e malformedError) Unwrap() error { return e.err }

// busyError asks the caller to come again in a second.
type busyError struct{}

func (busyError) Error() string { return "too many requests" }

func nonsense(err error) error {
	return core.NewProblem(core.ErrInvalid, "agent/invalid-message", sentence(err))
}

// sentence makes a message for a person of an error of a decoder.
func sentence(err error) string {
	return text("The message makes no sense: "+err.Error(), 1024)
}

// verdict finds status and problem for an error. Only a *core.Problem is shown
// as it is; of everything else the caller learns the kind.
func verdict(err error) (int, *core.Problem) {
	var (
		problem   *core.Problem
		tooLarge  *http.MaxBytesError
		malformed malformedError
		busy      busyError
	)

	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, core.NewProblem(core.ErrInvalid, "agent/too-large",
			fmt.Sprintf("The body is larger than the %d bytes this call takes.", tooLarge.Limit))
	case errors.As(err, &malformed):
		return http.StatusBadRequest, core.NewProblem(core.ErrInvalid, "agent/malformed-json", sentence(malformed.err))
	case errors.As(err, &busy):
		return http.StatusTooManyRequests, core.NewProblem(core.ErrConflict, "agent/too-fast",
			"Too many requests for this run; ask again in a second.")
	}

	status, fallback := kindOf(err)
	if errors.As(err, &problem) {
		return status, problem
	}

	return status, fallback
}

// kindOf finds the status for the kinds of core.
func kindOf(err error) (int, *core.Problem) {
	kinds := []struct {
		kind    error
		status  int
		code    string
		message string
	}{
		{core.ErrUnauthorized, http.StatusUnauthorized, "agent/unauthorized", "The token names no run here."},
		{core.ErrRefused, http.StatusForbidden, "agent/refused", "This is not allowed."},
		{core.ErrNotFound, http.StatusNotFound, "run/not-found", "There is no such run."},
		{core.ErrConflict, http.StatusConflict, "run/wrong-state", "The run's state does not allow this."},
		{core.ErrExpired, http.StatusGone, "run/expired", "A newer boot of the machine has taken the run over; stop."},
		{core.ErrInvalid, http.StatusUnprocessableEntity, "agent/invalid-message", "The message makes no sense."},
		{core.ErrFull, http.StatusInsufficientStorage, "store/full", "The appliance's disk is full; keep the data and ask again."},
	}

	for _, k := range kinds {
		if errors.Is(err, k.kind) {
			return k.status, core.NewProblem(k.kind, k.code, k.message)
		}
	}

	return http.StatusInternalServerError, core.NewProblem(nil, "agent/internal",
		"The appliance met a fault of its own; its log has the details. Ask again.")
}

// refuse answers with a fault and notes it, without anything secret: neither
// token nor body is logged.
func (g *gate) refuse(w http.ResponseWriter, r *http.Request, log func() *slog.Logger, err error) {
	status, problem := verdict(err)
	attrs := []slog.Attr{
		slog.Int("status", status), slog.String("code", problem.Code), slog.String("remote", r.RemoteAddr),
	}

	level := slog.LevelInfo

	switch {
	case status >= http.StatusInternalServerError:
		level = slog.LevelError

		attrs = append(attrs, slog.String("error", text(err.Error(), wire.MaxText)))
	case status == http.StatusTooManyRequests:
		level = slog.LevelDebug
	}

	log().LogAttrs(r.Context(), level, "agent call refused", attrs...)

	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}

	writeFault(w, status, problem)
}

func writeFault(w http.ResponseWriter, status int, p *core.Problem) {
	writeJSON(w, status, wire.Fault{Error: wire.FaultBody{Code: p.Code, Message: p.Message, Details: p.Details}})
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	encoded, err := json.Marshal(body)
	if err != nil {
		status = http.StatusInternalServerError
		encoded = []byte(`{"error":{"code":"agent/internal","message":"The answer could not be written."}}`)
	}

	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(encoded) // the caller is gone when this fails; it asks again
}
