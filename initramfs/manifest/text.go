package manifest

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// maxTexts bounds the unpacked licence texts; real ones have about 300 kB.
const maxTexts = 16 << 20

// EncodeTexts packs licence texts by package name: JSON, gzip'ed, without a time.
func EncodeTexts(texts map[string]string) ([]byte, error) {
	var out bytes.Buffer

	packer, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, fmt.Errorf("packing licence texts: %w", err)
	}

	if err := json.NewEncoder(packer).Encode(texts); err != nil {
		return nil, fmt.Errorf("packing licence texts: %w", err)
	}

	if err := packer.Close(); err != nil {
		return nil, fmt.Errorf("packing licence texts: %w", err)
	}

	return out.Bytes(), nil
}

// DecodeTexts reads what EncodeTexts wrote.
func DecodeTexts(data []byte) (texts map[string]string, err error) {
	plain, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("reading licence texts: %w", err)
	}

	if err := json.NewDecoder(io.LimitReader(plain, maxTexts)).Decode(&texts); err != nil {
		return nil, fmt.Errorf("reading licence texts: %w", err)
	}

	return texts, nil
}
