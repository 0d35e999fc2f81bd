package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vetting/cmd/vetting/operator"
	"vetting/core"
)

func main() {
	os.Exit(Main(os.Args[1:]))
}

// Main runs the command line with args (without the program's name) and returns
// the exit code. SIGINT and SIGTERM end it gently.
func Main(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	root := newRoot(os.Stdout, os.Stderr)
	root.SetArgs(args)

	if err := root.ExecuteContext(ctx); err != nil {
		return int(explained(err, os.Stderr))
	}

	return int(operator.OK)
}

// explained tells an error to a person and returns the code to end with.
func explained(err error, errs io.Writer) operator.Code {
	var (
		problem *core.Problem
		usage   *usageError
		exit    *operator.Exit
	)

	code := operator.Failed

	switch {
	case errors.As(err, &exit) && exit.Err == nil:
		return exit.Code // all was said
	case errors.As(err, &exit):
		code = exit.Code
	case errors.As(err, &usage):
		code = operator.Usage
	case errors.As(err, &problem):
		fmt.Fprintf(errs, "vetting: %s [%s]\n", problem.Message, problem.Code)

		return code
	}

	fmt.Fprintln(errs, "vetting:", err)

	return code
}

// usageError is a fault in what the person typed.
type usageError struct{ err error }

func (u *usageError) Error() string { return u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }
