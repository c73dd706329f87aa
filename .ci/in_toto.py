"""The manifest of a set, read by the in-toto project's own classes: a member that they do not know is an error."""

import json
import sys

from google.protobuf.json_format import Parse
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement

for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        text = file.read()
    statement = Statement.copy_from_pb(Parse(text, statement_pb2.Statement()))
    statement.validate()
    provenance = Parse(json.dumps(json.loads(text)["predicate"]), Provenance())
    inputs = provenance.build_definition.resolved_dependencies
    print(f"in-toto accepts {path}: {len(statement.pb.subject)} subjects, {len(inputs)} inputs")
