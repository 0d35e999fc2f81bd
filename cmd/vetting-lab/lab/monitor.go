//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// monitorAnswer is a line of the QEMU monitor protocol (QMP specification):
// greeting, event or answer.
type monitorAnswer struct {
	Return json.RawMessage `json:"return"`
	Error  *struct {
		Description string `json:"desc"`
	} `json:"error"`
}

// Monitor has the running machine's emulator carry out a QMP command:
// "system_reset", "system_powerdown", "set_link", "device_del", ….
func (g *Guest) Monitor(ctx context.Context, command string, arguments any) error {
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", filepath.Join(g.dir, "qmp"))
	if err != nil {
		return fmt.Errorf("reaching the monitor of machine %s: %w", g.Name, err)
	}
	defer conn.Close() //nolint:errcheck // the answer is in

	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return fmt.Errorf("reaching the monitor of machine %s: %w", g.Name, err)
	}

	in, out := json.NewDecoder(conn), json.NewEncoder(conn)

	err = order(in, out, "qmp_capabilities", nil)
	if err == nil {
		err = order(in, out, command, arguments)
	}

	if err != nil {
		return fmt.Errorf("telling machine %s to %s: %w", g.Name, command, err)
	}

	return nil
}

// Tell has the running machine's emulator carry out a line for people ("mce …"),
// which has no answer that a program could read.
func (g *Guest) Tell(ctx context.Context, line string) error {
	return g.Monitor(ctx, "human-monitor-command", map[string]string{"command-line": line})
}

// Memory reads the running machine's memory from a physical address on.
func (g *Guest) Memory(ctx context.Context, address, bytes uint64) ([]byte, error) {
	file := filepath.Join(g.dir, "memory")
	defer os.Remove(file) //nolint:errcheck // it goes with the folder at the latest

	if err := g.Monitor(ctx, "pmemsave", map[string]any{"val": address, "size": bytes, "filename": file}); err != nil {
		return nil, err
	}

	return os.ReadFile(file)
}

// Picture takes a picture of the running machine's screen into a file, as PPM.
func (g *Guest) Picture(ctx context.Context, file string) error {
	return g.Monitor(ctx, "screendump", map[string]any{"filename": file})
}

// order sends one command and reads up to its answer, past greeting and events.
func order(in *json.Decoder, out *json.Encoder, command string, arguments any) error {
	request := map[string]any{"execute": command}
	if arguments != nil {
		request["arguments"] = arguments
	}

	if err := out.Encode(request); err != nil {
		return err
	}

	for {
		var answer monitorAnswer

		switch err := in.Decode(&answer); {
		case err != nil:
			return err
		case answer.Error != nil:
			return errors.New(answer.Error.Description)
		case answer.Return != nil:
			return nil
		}
	}
}
