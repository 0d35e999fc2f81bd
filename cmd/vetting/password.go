package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// passwordCommand is a command about a user that sets their password, which is asked for:
// among the arguments everybody on the machine would see it.
func (c *cli) passwordCommand(use, short string, whose func(ask *controlRequest, name string)) *cobra.Command {
	asked := &controlRequest{}
	cmd := c.keyCommand(use, short, asked)
	cmd.Args = exactly("NAME")
	file := cmd.Flags().String("password-file", "", "file whose first line is the password, - for standard input; default: it is asked for at the terminal")
	obeyed := cmd.RunE

	cmd.RunE = func(cmd *cobra.Command, args []string) (err error) {
		if asked.Password, err = c.password(cmd.InOrStdin(), *file); err != nil {
			return err
		}

		whose(asked, args[0])

		return obeyed(cmd, args)
	}

	return cmd
}

// mostPassword bounds what is read of a file with a password.
const mostPassword = 4 << 10

// password reads the first line of a file or of standard input, or asks for it twice.
func (c *cli) password(input io.Reader, file string) (string, error) {
	switch {
	case file == "":
		terminal, ok := input.(*os.File)
		if !ok || !term.IsTerminal(int(terminal.Fd())) { //nolint:gosec // descriptors are small
			return "", &usageError{errors.New("there is no terminal to ask for the password at; give it with --password-file FILE, - for standard input")}
		}

		return c.askPassword(terminal)
	case file != "-":
		opened, err := os.Open(file)
		if err != nil {
			return "", &usageError{fmt.Errorf("reading the password: %w", err)}
		}

		defer func() { _ = opened.Close() }() // it was only read

		input = opened
	}

	text, err := io.ReadAll(io.LimitReader(input, mostPassword))
	line, _, _ := strings.Cut(string(text), "\n")

	return strings.TrimSuffix(line, "\r"), err
}

// askPassword asks twice, since what is typed is not shown.
func (c *cli) askPassword(terminal *os.File) (string, error) {
	var typed [2]string

	for i, words := range []string{"Password: ", "Once more: "} {
		fmt.Fprint(c.errs, words)

		text, err := term.ReadPassword(int(terminal.Fd())) //nolint:gosec // descriptors are small
		fmt.Fprintln(c.errs)

		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}

		typed[i] = string(text)
	}

	if typed[0] != typed[1] {
		return "", &usageError{errors.New("the two passwords differ; nothing was changed")}
	}

	return typed[0], nil
}
