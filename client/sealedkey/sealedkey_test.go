package sealedkey

import (
	"bytes"
	"encoding/pem"
	"testing"
)

func TestSealAndOpen(t *testing.T) {
	secret, pass := []byte("the key of a cluster's CA"), []byte("correct horse")
	text, err := Seal(secret, pass)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, secret) {
		t.Error("the key stands in the clear")
	}
	open := func(pass []byte, change func(*pem.Block)) ([]byte, error) {
		b, rest := pem.Decode(text)
		if b == nil || b.Type != Type || len(rest) != 0 {
			t.Fatalf("no block: %s", text)
		}
		change(b)
		return Open(b, pass)
	}
	if got, err := open(pass, func(*pem.Block) {}); err != nil || !bytes.Equal(got, secret) {
		t.Errorf("opened: %q, %v", got, err)
	}
	if _, err := open([]byte("another"), func(*pem.Block) {}); err == nil {
		t.Error("a wrong passphrase opens it")
	}
	for name, change := range map[string]func(*pem.Block){
		"first byte":     func(b *pem.Block) { b.Bytes[0] ^= 1 },
		"last byte":      func(b *pem.Block) { b.Bytes[len(b.Bytes)-1] ^= 1 },
		"cut short":      func(b *pem.Block) { b.Bytes = b.Bytes[:5] },
		"empty":          func(b *pem.Block) { b.Bytes = nil },
		"another salt":   func(b *pem.Block) { b.Headers[headerSalt] = "AAAAAAAAAAAAAAAAAAAAAA==" },
		"damaged salt":   func(b *pem.Block) { b.Headers[headerSalt] = "!" },
		"short salt":     func(b *pem.Block) { b.Headers[headerSalt] = "AAAA" },
		"no method":      func(b *pem.Block) { delete(b.Headers, headerMethod) },
		"another method": func(b *pem.Block) { b.Headers[headerMethod] = "scrypt-1073741824-8-1 AES-256-GCM" },
	} {
		if _, err := open(pass, change); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	again, err := Seal(secret, pass)
	if err != nil || bytes.Equal(again, text) {
		t.Errorf("sealed twice alike: %v", err)
	}
}
