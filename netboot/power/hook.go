package power

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"vetting/core"
	signing "vetting/core/webhook"
)

// webhook is a program of the operator's own that switches machines. It is sent
//
//	POST {"type":"power","action":"on","host":"rack1-u07","mac":"52:54:00:12:34:56","macs":[…]}
//
// signed by Standard Webhooks, and answers 2xx when it did what action says:
// on, off, cycle, pxe or state. After pxe it answers {"boot":"pxe"}, after state
// {"state":"on"} or {"state":"off"}. What it cannot do it answers with 501.
type webhook struct {
	target *Target
	now    func() time.Time
	id     func() string
}

// order is the body that is posted.
type order struct {
	Type   string     `json:"type"` // "power"
	Action string     `json:"action"`
	Host   string     `json:"host"`
	MAC    core.MAC   `json:"mac,omitempty"`
	MACs   []core.MAC `json:"macs,omitempty"`
}

// reply is what may come back.
type reply struct {
	State State  `json:"state"`
	Boot  string `json:"boot"`
}

func (w webhook) on(ctx context.Context) error {
	_, err := w.post(ctx, "on")

	return err
}

func (w webhook) off(ctx context.Context) error {
	_, err := w.post(ctx, "off")

	return err
}

func (w webhook) cycle(ctx context.Context) error {
	_, err := w.post(ctx, "cycle")

	return err
}

func (w webhook) pxe(ctx context.Context) error {
	answer, err := w.post(ctx, "pxe")
	if err != nil {
		return err
	}

	if answer.Boot != "pxe" {
		return outcome(NotKept, `it did not answer {"boot":"pxe"}`)
	}

	return nil
}

func (w webhook) state(ctx context.Context) (State, error) {
	answer, err := w.post(ctx, "state")
	if err != nil {
		return Unknown, err
	}

	if answer.State != On && answer.State != Off {
		return Unknown, outcome(Unsupported, `it did not answer {"state":"on"} or {"state":"off"}`)
	}

	return answer.State, nil
}

func (w webhook) post(ctx context.Context, action string) (reply, error) {
	body, err := json.Marshal(w.order(action))
	if err != nil {
		return reply{}, fmt.Errorf("writing the order: %w", err)
	}

	place, err := url.Parse(w.target.URL)
	if err != nil {
		return reply{}, fmt.Errorf("reading the URL: %w", err)
	}

	client, err := newClient(w.target, place)
	if err != nil {
		return reply{}, err
	}

	defer client.CloseIdleConnections()

	r, err := http.NewRequestWithContext(ctx, http.MethodPost, place.String(), bytes.NewReader(body))
	if err != nil {
		return reply{}, fmt.Errorf("making the request: %w", err)
	}

	at, id := w.now(), "msg_"+w.id()
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(signing.HeaderID, id)
	r.Header.Set(signing.HeaderTimestamp, signing.Timestamp(at))
	r.Header.Set(signing.HeaderSignature, signing.Sign(string(w.target.Secret), id, at, body))

	answer, err := client.Do(r)
	if err != nil {
		return reply{}, err
	}

	text, err := readAll(answer)
	if err != nil {
		return reply{}, fmt.Errorf("reading the answer: %w", err)
	}

	if o := ofStatus(answer.StatusCode); o != OK {
		// Without its body: the address may be any that the appliance reaches.
		return reply{}, outcome(o, fmt.Sprintf("status %d", answer.StatusCode))
	}

	var got reply
	if json.Unmarshal(text, &got) != nil {
		return reply{}, nil // on, off and cycle need no body
	}

	return got, nil
}

func (w webhook) order(action string) order {
	o := order{Type: "power", Action: action, Host: w.target.Host, MACs: w.target.MACs}
	if len(w.target.MACs) > 0 {
		o.MAC = w.target.MACs[0]
	}

	return o
}
