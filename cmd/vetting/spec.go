package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"vetting/core"
	"vetting/core/problem"
	"vetting/core/spec"
)

// parseSpec reads an expected spec. The error is a *core.Problem that names
// every field that makes no sense, and shows the line and column at fault; its
// details "line" and "column" hold them as numbers, of the first fault where
// there are several.
func parseSpec(text string) (spec.Spec, error) {
	var s spec.Spec

	if err := decodeSent([]byte(text), &s); err != nil {
		return s, refusal(problem.SpecInvalid, "The spec cannot be read:", err)
	}

	if err := s.Validate(); err != nil {
		return s, refusal(problem.SpecInvalid, "The spec makes no sense:", place(text, err)...)
	}

	return s, nil
}

// writeSpec writes a spec so that parseSpec reads the same.
func writeSpec(s spec.Spec) (string, error) {
	text, err := yaml.Marshal(s)
	if err != nil {
		return "", fmt.Errorf("writing a spec: %w", err)
	}

	return string(text), nil
}

// refusal is the problem of a text with the given faults.
func refusal(code, head string, faults ...error) *core.Problem {
	lines := []string{head}
	line, column := 0, 0

	for _, err := range faults {
		var fault *textFault
		if errors.As(err, &fault) && line == 0 {
			line, column = fault.line, fault.column
		}

		lines = append(lines, err.Error())
	}

	p := core.NewProblem(core.ErrInvalid, code, strings.Join(lines, "\n"))
	if line == 0 {
		return p
	}

	return p.With("line", line).With("column", column)
}

// place finds the fields in the text that the joined faults of a spec are about:
// each begins with the path of its field.
func place(text string, err error) []error {
	faults := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // what errors.Join made, not what it holds
		faults = joined.Unwrap()
	}

	for i, fault := range faults {
		message := fault.Error()

		var p *core.Problem
		if errors.As(fault, &p) {
			message = p.Message
		}

		path, _, _ := strings.Cut(message, ":")
		faults[i] = &textFault{message: message}

		if field := locate(text, path); field != nil {
			at := field.Position
			faults[i] = &textFault{line: at.Line, column: at.Column, message: fmt.Sprintf("[%d:%d] %s", at.Line, at.Column, message)}
		}
	}

	return faults
}

// locate finds the value at a path such as disks[3].size, or the nearest group
// around it; nil when there is none.
func locate(text, path string) (place *token.Token) {
	var broken error
	defer survive(&broken) // the text was read once, but by other parts of the module

	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return nil
	}

	for path != "" {
		if p, err := yaml.PathString("$." + path); err == nil {
			if node, err := p.FilterFile(file); err == nil {
				return node.GetToken()
			}
		}

		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}

	return nil
}
