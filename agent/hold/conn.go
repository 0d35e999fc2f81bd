package hold

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// conn is a client that has logged in.
type conn struct {
	*Server
	ssh  *ssh.ServerConn
	idle *time.Timer
	log  *slog.Logger
}

// touch says that the client does something.
func (c *conn) touch() { c.idle.Reset(c.Idle) }

// showOut hangs up on a client whose key counts no more: another one was made since.
func (c *conn) showOut() {
	if !c.counts(c.ssh.Permissions.Extensions[wireExtension]) {
		c.log.Warn("hold connection ended: its key was replaced")

		_ = c.ssh.Close() // ends every wait on it
	}
}

// serve deals with one connection until it is over. What a client sends must
// never end the agent.
func (s *Server) serve(ctx context.Context, raw net.Conn, who *guest) {
	log := s.Log.With(slog.String("remote", raw.RemoteAddr().String()))

	defer raw.Close() //nolint:errcheck // nothing is left to be sent

	defer func() {
		if cause := recover(); cause != nil {
			log.Error("the hold panicked", slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
		}
	}()

	stop := context.AfterFunc(ctx, func() { _ = raw.Close() }) // ends every wait on it
	defer stop()

	_ = raw.SetDeadline(time.Now().Add(s.Handshake)) // one without deadlines is a test's

	client, channels, requests, err := ssh.NewServerConn(raw, s.config)
	if err != nil {
		log.Debug("hold handshake failed", slog.String("error", plain(err.Error(), maxLine)))

		return
	}

	_ = raw.SetDeadline(time.Time{})

	who.welcome()

	c := &conn{Server: s, ssh: client, log: log, idle: time.AfterFunc(s.Idle, func() {
		log.Info("hold connection idle for too long")
		_ = raw.Close() // ends every wait on it
	})}
	defer c.idle.Stop()

	defer s.enter(c)()

	log.Info("hold opened", slog.String("key", client.Permissions.Extensions[keyExtension]),
		slog.String("client", plain(string(client.ClientVersion()), maxLine)))
	c.converse(channels, requests)
	log.Info("hold left")
}

// converse serves what the client asks for until the connection is over.
func (c *conn) converse(channels <-chan ssh.NewChannel, requests <-chan *ssh.Request) {
	var parts sync.WaitGroup
	defer parts.Wait()

	gone := make(chan struct{})
	defer close(gone)

	parts.Go(func() { ssh.DiscardRequests(requests) }) // forwarding is one: refused
	parts.Go(func() { c.keepAlive(gone) })

	for offer := range channels {
		if offer.ChannelType() != "session" {
			c.log.Warn("hold refused a channel", slog.String("kind", plain(offer.ChannelType(), maxLine)))
			refuse(offer, ssh.Prohibited, "there are shells here and nothing else")

			continue
		}

		select {
		case c.sessions <- struct{}{}:
		default:
			refuse(offer, ssh.ResourceShortage, "too many sessions are open")

			continue
		}

		parts.Go(func() {
			defer func() { <-c.sessions }()

			c.session(offer)
		})
	}
}

func refuse(offer ssh.NewChannel, why ssh.RejectionReason, say string) {
	_ = offer.Reject(why, say) // the connection tells when it is broken
}

// keepAlive hangs up on a client that has not answered several questions.
func (c *conn) keepAlive(gone <-chan struct{}) {
	answers := make(chan struct{}, 1)
	tick := time.NewTicker(c.Keepalive)

	defer tick.Stop()

	for missed, asking := 0, false; ; {
		select {
		case <-gone:
			return
		case <-answers:
			missed, asking = 0, false
		case <-tick.C:
			if missed++; missed > maxMissed {
				c.log.Warn("hold client does not answer any more")
				_ = c.ssh.Close() // ends every wait on it

				return
			}

			if !asking {
				asking = true

				go c.ask(answers)
			}
		}
	}
}

// ask waits for an answer to one question. A refusal is one too; when there is
// none the connection is over.
func (c *conn) ask(answers chan<- struct{}) {
	if _, _, err := c.ssh.SendRequest("keepalive@openssh.com", true, nil); err == nil {
		answers <- struct{}{}
	}
}
