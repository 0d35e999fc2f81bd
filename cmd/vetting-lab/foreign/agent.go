package foreign

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Seed is what the boot path brings a machine: where the appliance is, which key it has, and the
// token that the run is claimed with.
type Seed struct {
	// Base is the appliance's address, as in https://10.77.0.1.
	Base string
	// Run is the id of the run.
	Run string
	// Token is the run's boot token.
	Token string
	// Pin is the SHA-256 of the public key that the appliance must show.
	Pin [sha256.Size]byte
}

// Machine is what the agent runs on.
type Machine struct {
	// MAC is the address it booted from, with colons.
	MAC string
	// UUID and Serial are SMBIOS's.
	UUID, Serial string
	// BootID names this boot.
	BootID string
}

// Agent is one boot of one machine. It is not safe for concurrent use.
type Agent struct {
	seed    Seed
	machine Machine
	client  *http.Client
	token   string
	began   time.Time
	logged  int
	sensed  int
	judged  int
}

// Refusal is an answer that is no success: the status, and what the error body says.
type Refusal struct {
	Status        int
	Code, Message string
}

// Error says it in one line.
func (r *Refusal) Error() string {
	return fmt.Sprintf("the appliance refused with %d %s: %s", r.Status, r.Code, r.Message)
}

// Boot is the agent of a machine that has just booted with a seed.
func Boot(seed Seed, machine Machine) *Agent {
	check := func(raw [][]byte, _ [][]*x509.Certificate) error {
		leaf, err := x509.ParseCertificate(raw[0])
		if err != nil {
			return fmt.Errorf("reading the appliance's certificate: %w", err)
		}
		if sha256.Sum256(leaf.RawSubjectPublicKeyInfo) != seed.Pin {
			return errors.New("the appliance shows another key than the seed names")
		}
		return nil
	}
	// The key is pinned, so no authority is asked: VerifyPeerCertificate is the whole check.
	pinned := &tls.Config{InsecureSkipVerify: true, VerifyPeerCertificate: check, MinVersion: tls.VersionTLS12} //nolint:gosec // the key is pinned
	return &Agent{
		seed:    seed,
		machine: machine,
		client:  &http.Client{Transport: &http.Transport{TLSClientConfig: pinned}, Timeout: 30 * time.Second},
		token:   seed.Token,
		began:   time.Now(),
	}
}

// Close ends the agent's connections.
func (a *Agent) Close() { a.client.CloseIdleConnections() }

// Bear makes the agent say everything from now on with another token.
func (a *Agent) Bear(token string) { a.token = token }

// Token is what the agent speaks with.
func (a *Agent) Token() string { return a.token }

// Hello introduces the machine.
func (a *Agent) Hello(ctx context.Context) (Greeted, error) {
	var answer Greeted
	err := a.post(ctx, "hello", greeting{
		ProtocolVersion: 1, AgentVersion: "foreign/1", MAC: a.machine.MAC, IP: "127.0.0.1",
		BootID: a.machine.BootID, Kernel: "6.12.0", Firmware: "uefi",
	}, &answer)
	return answer, err
}

// Claim takes the run over. From then on the agent speaks with the session token.
func (a *Agent) Claim(ctx context.Context) (Claimed, error) {
	var answer Claimed
	err := a.post(ctx, "claim", claim{BootID: a.machine.BootID, Identity: identity{
		SMBIOSUUID: a.machine.UUID, BoardSerial: a.machine.Serial, MACs: []string{a.machine.MAC},
	}}, &answer)
	if err == nil {
		a.token = answer.SessionToken
	}
	return answer, err
}

// Beat tells how far a stage is, from 0 to 1, and brings back what to do.
func (a *Agent) Beat(ctx context.Context, stage string, progress float64) (Order, error) {
	var answer Order
	err := a.post(ctx, "heartbeat", beat{
		Stage: stage, Progress: progress, ETA: 1, Uptime: int(time.Since(a.began).Seconds()),
	}, &answer)
	return answer, err
}

// Log sends one line of a stage.
func (a *Agent) Log(ctx context.Context, stage, text string) error {
	a.logged++
	return a.twice(ctx, "log", logBatch{Seq: a.logged, Lines: []line{
		{Time: now(), Level: "info", Stage: stage, Text: text},
	}}, &struct{}{})
}

// Sense sends one sample of a stage.
func (a *Agent) Sense(ctx context.Context, stage, key, unit string, value float64) error {
	a.sensed++
	var answer struct {
		Breaches []any `json:"breaches"`
	}
	return a.twice(ctx, "sensor", sensorBatch{Seq: a.sensed, Samples: []sample{
		{Time: now(), Key: key, Value: value, Unit: unit, Stage: stage},
	}}, &answer)
}

// Result ends a stage with a verdict, and brings back the state that follows.
func (a *Agent) Result(ctx context.Context, stage, verdict string) (Moved, error) {
	a.judged++
	var answer Moved
	said := result{
		Seq: a.judged, Stage: stage, Verdict: verdict, Findings: []any{}, SubSteps: []any{}, Measurements: []any{},
	}
	if stage == "InventoryCheck" {
		said.Inventory = &inventory{}
	}
	err := a.twice(ctx, "result", said, &answer)
	return answer, err
}

// Artifact leaves a file with the run and compares the sum that comes back.
func (a *Agent) Artifact(ctx context.Context, stage, name string, body []byte) (Kept, error) {
	var answer Kept
	query := url.Values{"name": {name}, "stage": {stage}}
	raw, err := a.send(ctx, "artifact?"+query.Encode(), body)
	if err != nil {
		return answer, err
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return answer, fmt.Errorf("reading the answer to artifact: %w", err)
	}
	if sum := sha256.Sum256(body); answer.SHA256 != hex.EncodeToString(sum[:]) {
		return answer, fmt.Errorf("the artifact is kept as %s, not as %x", answer.SHA256, sum)
	}
	return answer, nil
}

// Hold says that the machine is open to the operator, under this host key.
func (a *Agent) Hold(ctx context.Context, hostKey string) (Opened, error) {
	var answer Opened
	err := a.post(ctx, "hold", held{IP: "127.0.0.1", SSHHostKey: hostKey}, &answer)
	return answer, err
}

// twice sends a batch two times over, as after an answer that got lost, and holds the appliance to
// answering the second like the first.
func (a *Agent) twice(ctx context.Context, call string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("writing %s: %w", call, err)
	}
	first, err := a.send(ctx, call, text)
	if err != nil {
		return err
	}
	second, err := a.send(ctx, call, text)
	if err != nil {
		return fmt.Errorf("sending %s again: %w", call, err)
	}
	if !bytes.Equal(first, second) {
		return fmt.Errorf("%s was answered %q, and again %q", call, first, second)
	}
	return json.Unmarshal(first, answer)
}

// post sends one call and reads its answer.
func (a *Agent) post(ctx context.Context, call string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("writing %s: %w", call, err)
	}
	raw, err := a.send(ctx, call, text)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("reading the answer to %s: %w", call, err)
	}
	return nil
}

// send is one request to the run's own address.
func (a *Agent) send(ctx context.Context, call string, body []byte) ([]byte, error) {
	return a.Ask(ctx, http.MethodPost, "/api/v1/runs/"+a.seed.Run+"/"+call, body)
}

// Ask sends any request with the agent's token, and brings back the body of a success. Everything
// else is a *Refusal.
func (a *Agent) Ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, a.seed.Base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+a.token)
	request.Header.Set("Content-Type", "application/json")
	answer, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, 4<<20))
	if err != nil {
		return nil, err
	}
	if answer.StatusCode/100 == 2 {
		return raw, nil
	}
	var said struct {
		Error struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	// A body that is no error body leaves the code empty, which says so.
	_ = json.Unmarshal(raw, &said)
	return nil, &Refusal{Status: answer.StatusCode, Code: said.Error.Code, Message: said.Error.Message}
}

// now is the time as the contract writes it.
func now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }
