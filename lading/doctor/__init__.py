"""What stands between a deployment and its users, tried from where a user is: `lading doctor`.

It owns the trials and what each finding asks to be changed. It refuses to know the server's rooms:
it speaks to the public address only, as any client does. Source: page 12 of the design.
"""

from lading.doctor.examination import examine
from lading.doctor.findings import ADVICE, Finding
from lading.doctor.site import DoctorLimits

__all__ = ["ADVICE", "DoctorLimits", "Finding", "examine"]
