package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// maxSecret bounds what is read of a file that holds a secret.
const maxSecret = 64 << 10

// Secret is a value that nobody is shown. The file holds it as a text, or better
// says where it lies: {file: PATH} or {env: NAME}. A path that is not absolute is
// looked for in $CREDENTIALS_DIRECTORY, where systemd's LoadCredential= puts it.
// It is read when it is needed, so that a reload reads it anew.
type Secret struct{ text, file, env string } //nolint:recvcheck // reading needs a pointer, writing a value

// Set reports whether there is one.
func (s Secret) Set() bool { return s != Secret{} }

// Read returns the secret, without a line end at its end; empty when none is
// set. The error names where it should be, and never what it is.
func (s Secret) Read() (string, error) {
	switch {
	case s.file != "":
		return readSecret(s.file)
	case s.env != "":
		text, ok := os.LookupEnv(s.env)
		if !ok || text == "" {
			return "", fmt.Errorf("the environment variable %s is not set", s.env)
		}

		return text, nil
	default:
		return s.text, nil
	}
}

func readSecret(path string) (string, error) {
	if !filepath.IsAbs(path) {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return "", fmt.Errorf("%s is not an absolute path, and systemd gives no credentials (CREDENTIALS_DIRECTORY is not set)", path)
		}

		path = filepath.Join(dir, path)
	}

	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}

	text, err := io.ReadAll(io.LimitReader(file, maxSecret+1))

	switch err = errors.Join(err, file.Close()); {
	case err != nil:
		return "", fmt.Errorf("reading the secret: %w", err)
	case len(text) > maxSecret:
		return "", fmt.Errorf("%s has more than %d bytes; that is no secret", path, maxSecret)
	}

	secret := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if secret == "" {
		return "", fmt.Errorf("%s is empty", path)
	}

	return secret, nil
}

// UnmarshalYAML reads a text, or a group with the one key file or env.
func (s *Secret) UnmarshalYAML(node ast.Node) error {
	at := node.GetToken().Position
	bad := &textFault{line: at.Line, column: at.Column, message: fmt.Sprintf(
		"[%d:%d] a secret is a text in quotes, {file: PATH} or {env: NAME}", at.Line, at.Column)}

	var value any
	if err := yaml.NodeToValue(node, &value); err != nil {
		return bad
	}

	switch value := value.(type) {
	case nil:
		*s = Secret{}
	case string:
		*s = Secret{text: value}
	case map[string]any:
		file, isFile := value["file"].(string)
		env, isEnv := value["env"].(string)

		if len(value) != 1 || file == "" && env == "" || !isFile && !isEnv {
			return bad
		}

		*s = Secret{file: file, env: env}
	default:
		return bad
	}

	return nil
}

// MarshalYAML writes where the secret lies, and hides one that the file holds.
func (s Secret) MarshalYAML() ([]byte, error) { //nolint:unparam // the interface of the YAML module
	switch {
	case s.file != "":
		return fmt.Appendf(nil, "{file: %q}", s.file), nil
	case s.env != "":
		return fmt.Appendf(nil, "{env: %q}", s.env), nil
	case s.text != "":
		return []byte(`"[hidden]"`), nil
	default:
		return []byte(`""`), nil
	}
}

// String hides the secret.
func (s Secret) String() string {
	if s.Set() {
		return "[hidden]"
	}

	return ""
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return s.String() }
