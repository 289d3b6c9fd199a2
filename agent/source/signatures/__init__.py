"""Signatures of commits and annotated tags: OpenPGP and SSH, against keys that the track names.

Duty: say who signed a git object, or why nobody who is trusted did. A signature says who made a
revision, not that it is the newest one: an old signed commit that is pushed again is accepted.
Nothing here talks to a server or writes; keys are public and are read anew at each poll.

``verifier`` decides what has to be signed; ``signed`` takes an object apart as git does;
``keyring`` holds the keys; ``openpgp`` and ``sshsig`` check signatures; ``sshkeys`` reads lines of
authorized_keys and allowed_signers; ``material`` says where keys are; ``signer`` is the answer.
"""
