package engine

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"

	"vetting/core"
)

// maxSpent bounds the consumed tokens that are remembered, for the alarm.
const maxSpent = 64

// drawNonce draws what names one seed archive and makes its boot token.
func (e *Engine) drawNonce() (string, error) {
	raw := make([]byte, nonceBytes)
	if _, err := io.ReadFull(e.Rand, raw); err != nil {
		return "", fmt.Errorf("drawing the nonce of a boot token: %w", err)
	}

	return hex.EncodeToString(raw), nil
}

// bootToken is the token that goes with a nonce. The ledger keeps its hash and
// the nonce, never the token: without the secret nobody can make it.
func (e *Engine) bootToken(run core.RunID, nonce string) string {
	return e.token("boot", string(run), nonce)
}

// sessionToken is the token that a claim is answered with. The same claim has the
// same one, so that it can be answered again without being kept.
func (e *Engine) sessionToken(run core.RunID, epoch int, bootToken string) string {
	return e.token("session", string(run), strconv.Itoa(epoch), bootToken)
}

// token makes 256 bits of words and the secret of the appliance, by HMAC-SHA-256
// (RFC 2104). The words are told apart by their lengths.
func (e *Engine) token(words ...string) string {
	mac := hmac.New(sha256.New, e.TokenSecret)

	for _, word := range words {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(word))) // a hash takes everything
		_, _ = io.WriteString(mac, word)
	}

	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// digest is what the ledger keeps of a token. A slow hash would protect nothing:
// the tokens have 256 bits of chance.
func digest(token string) []byte {
	sum := sha256.Sum256([]byte(token))

	return sum[:]
}

func same(hash, other []byte) bool {
	return len(hash) > 0 && subtle.ConstantTimeCompare(hash, other) == 1
}

// among compares with each, so that the time taken tells nothing.
func among(hash []byte, spent [][]byte) bool {
	found := 0
	for _, s := range spent {
		found |= subtle.ConstantTimeCompare(hash, s)
	}

	return found == 1
}

// spend adds a hash to those consumed; the oldest are forgotten.
func spend(spent [][]byte, hash []byte) [][]byte {
	if len(hash) == 0 {
		return spent
	}

	spent = append(spent, hash)

	return spent[max(0, len(spent)-maxSpent):]
}
