package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"strconv"
	"strings"
	"time"
)

// mailer sends mail by SMTP (RFC 5321), with STARTTLS (RFC 3207) or TLS from the
// first byte (RFC 8314).
type mailer struct {
	target *Target
	now    func() time.Time
	id     func() string
}

const (
	submission  = 587
	submissions = 465
)

// server splits Server, with the port it has or the usual one.
func (t *Target) server() (host string, port int, err error) {
	port = submission
	if t.TLS == "tls" {
		port = submissions
	}

	host = t.Server
	if h, p, split := net.SplitHostPort(t.Server); split == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return "", 0, fmt.Errorf("server: %q has a port that is none", t.Server)
		}

		host, port = h, int(n)
	}

	if host == "" || strings.ContainsAny(host, "/@ \t\r\n") {
		return "", 0, fmt.Errorf("server: %q is not a name or address, with or without a port", t.Server)
	}

	return host, port, nil
}

func (s mailer) send(ctx context.Context, m message) error {
	return s.with(ctx, func(client *smtp.Client) error { return s.talk(client, m) })
}

// with signs in at the server, talks, and takes its leave.
func (s mailer) with(ctx context.Context, talk func(client *smtp.Client) error) (err error) {
	host, port, err := s.target.server()
	if err != nil {
		return err
	}

	conn, err := s.dial(ctx, host, port)
	if err != nil {
		return err
	}

	// The library knows no context: the connection ends with it.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })

	defer func() {
		stop()

		if err != nil && ctx.Err() != nil {
			err = ctx.Err()
		}
	}()

	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return errors.Join(fmt.Errorf("greeting the server: %w", err), conn.Close())
	}

	if err := s.enter(client, host); err != nil {
		return errors.Join(err, client.Close())
	}

	if err := talk(client); err != nil {
		return errors.Join(err, client.Close())
	}

	return client.Quit()
}

func (s mailer) dial(ctx context.Context, host string, port int) (net.Conn, error) {
	addr := net.JoinHostPort(host, strconv.Itoa(port))

	if s.target.TLS == "tls" {
		return (&tls.Dialer{Config: &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}}).DialContext(ctx, "tcp", addr)
	}

	return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
}

// enter has the connection encrypted, and signs in.
func (s mailer) enter(client *smtp.Client, host string) error {
	if s.target.TLS == "" || s.target.TLS == "starttls" {
		if err := client.StartTLS(&tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}); err != nil {
			return fmt.Errorf("starting TLS: %w", err)
		}
	}

	if s.target.User != "" {
		if err := client.Auth(s.auth(client, host)); err != nil {
			return fmt.Errorf("signing in: %w", err)
		}
	}

	return nil
}

func (s mailer) talk(client *smtp.Client, m message) error {
	from, to, err := s.people()
	if err != nil {
		return err
	}

	if err := client.Mail(from.Address); err != nil {
		return fmt.Errorf("naming the sender: %w", err)
	}

	for _, one := range to {
		if err := client.Rcpt(one.Address); err != nil {
			return fmt.Errorf("naming a receiver: %w", err)
		}
	}

	return s.write(client, from, to, m)
}

func (s mailer) people() (from *mail.Address, to []*mail.Address, err error) {
	from, err = mail.ParseAddress(s.target.From)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the sender: %w", err)
	}

	for _, text := range s.target.To {
		one, err := mail.ParseAddress(text)
		if err != nil {
			return nil, nil, fmt.Errorf("reading a receiver: %w", err)
		}

		to = append(to, one)
	}

	return from, to, nil
}

func (s mailer) write(client *smtp.Client, from *mail.Address, to []*mail.Address, m message) error {
	out, err := client.Data()
	if err != nil {
		return fmt.Errorf("beginning the message: %w", err)
	}

	if _, err := out.Write(s.letter(from, to, m)); err != nil {
		return errors.Join(fmt.Errorf("writing the message: %w", err), out.Close())
	}

	if err := out.Close(); err != nil {
		return fmt.Errorf("ending the message: %w", err)
	}

	return nil
}

// letter is the message of RFC 5322: plain text, quoted-printable.
func (s mailer) letter(from *mail.Address, to []*mail.Address, m message) []byte {
	var out bytes.Buffer

	receivers := make([]string, 0, len(to))
	for _, one := range to {
		receivers = append(receivers, one.String())
	}

	_, domain, _ := strings.Cut(from.Address, "@")

	for _, h := range [][2]string{
		{"From", from.String()},
		{"To", strings.Join(receivers, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", "["+string(m.severity)+"] "+m.title)},
		{"Date", s.now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + s.id() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834: no holiday replies
		{"MIME-Version", "1.0"},
		{"Content-Type", `text/plain; charset="utf-8"`},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		out.WriteString(h[0] + ": " + h[1] + "\r\n")
	}

	out.WriteString("\r\n")

	text := m.title + "\n\n" + m.body() + "\n"
	if m.link != "" {
		text += "\n" + m.link + "\n"
	}

	body := quotedprintable.NewWriter(&out)
	_, _ = body.Write([]byte(strings.ReplaceAll(text, "\n", "\r\n"))) // into memory
	_ = body.Close()

	return out.Bytes()
}

// auth chooses what the server offers: PLAIN, or LOGIN, which Microsoft's want.
func (s mailer) auth(client *smtp.Client, host string) smtp.Auth {
	_, offered := client.Extension("AUTH")
	if !strings.Contains(" "+offered+" ", " PLAIN ") && strings.Contains(" "+offered+" ", " LOGIN ") {
		return &login{user: s.target.User, password: string(s.target.Password)}
	}

	return smtp.PlainAuth("", s.target.User, string(s.target.Password), host)
}

// login is the AUTH LOGIN that was never made a standard
// (draft-murchison-sasl-login-00).
type login struct {
	user, password string
	step           int
}

func (l *login) Start(server *smtp.ServerInfo) (proto string, first []byte, err error) {
	if !server.TLS {
		return "", nil, errors.New("the connection is not encrypted")
	}

	return "LOGIN", nil, nil
}

func (l *login) Next(_ []byte, more bool) ([]byte, error) {
	if !more {
		return nil, nil
	}

	l.step++

	switch l.step {
	case 1:
		return []byte(l.user), nil
	case 2:
		return []byte(l.password), nil
	default:
		return nil, errors.New("the server asks for more than user and password")
	}
}
