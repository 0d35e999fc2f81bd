package operator

import (
	"errors"
	"fmt"
	"net/http"

	"vetting/cmd/client"
)

// Code is what the program ends with.
type Code int

// The exit codes of the command line.
const (
	OK        Code = 0
	Failed    Code = 1 // the command could not do what it was asked
	Usage     Code = 2 // what was typed makes no sense
	NoPass    Code = 3 // a run ended as FAIL or ERROR
	Warned    Code = 4 // a run passed with warnings, and --strict was given
	TimedOut  Code = 5 // --timeout was over before the run was
	Holding   Code = 6 // a run failed and its host is held
	Cancelled Code = 7 // a run was cancelled
)

// Codes says what each exit code means, for the documentation.
func Codes() []string {
	return []string{
		OK:        "done; a run that was waited for ended as PASS",
		Failed:    "an error: the appliance cannot be reached, or refuses",
		Usage:     "the command line makes no sense",
		NoPass:    "a run that was waited for ended as FAIL or ERROR",
		Warned:    "it ended as PASS with warnings, and `--strict` was given",
		TimedOut:  "`--timeout` was over before the run was",
		Holding:   "the run failed and its host is held for the operator",
		Cancelled: "the run was cancelled",
	}
}

// Exit is an error that says with which code the program ends. Without an Err
// everything worth saying was said.
type Exit struct {
	Code Code
	Err  error
}

// Error returns what went wrong.
func (e *Exit) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("ended with code %d", e.Code)
	}

	return e.Err.Error()
}

// Unwrap returns the error within.
func (e *Exit) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return &Exit{Code: Usage, Err: fmt.Errorf(format, args...)}
}

// advise adds to an answer of the appliance what the person can do about it here.
func advise(err error) error {
	var fault *client.Fault
	if !errors.As(err, &fault) {
		return err
	}

	switch fault.Status {
	case http.StatusUnauthorized:
		return fmt.Errorf("%w Put a token into VETTING_TOKEN; at the appliance, vetting token create makes one", err)
	case http.StatusForbidden:
		return fmt.Errorf("%w The token's scope is too small; at the appliance, vetting token create --scope operate (or admin) makes another", err)
	default:
		return err
	}
}
